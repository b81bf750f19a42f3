/* What must hold when a life is over. */
#ifndef LIFE_CHECK_H
#define LIFE_CHECK_H

void check_everything(void);
/* Says what is stuck, and fails. */
void check_stuck(void);

#endif
