/* The life of step after it found courier: messages, ended processes, the end. */
#ifndef SRC_STEP_SERVE_H
#define SRC_STEP_SERVE_H

/*
 * Does what courier says until BYE or until courier is lost; then kills what is left. signal_fd reports SIGCHLD,
 * all signals are blocked. Borrows both descriptors. The exit code; *why (static text) is set when it is not 0.
 */
int serve(int courier, int signal_fd, const char **why);

#endif
