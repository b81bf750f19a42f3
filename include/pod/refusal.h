/* What a person can do about a pod that Kubernetes refused. */
#ifndef POD_REFUSAL_H
#define POD_REFUSAL_H

/* message is what the API server said (docs/reference/kubernetes.md, "What an answer means"). Gives a sentence without
 * its full stop that names the key to change, or NULL when the server's words are all there is to say. Static text.
 * Pure. */
const char *pod_refusal_advice(const char *message);

#endif
