/* What an event may not be made of. CASE 0 compiles, every other case must not (tests/CMakeLists.txt). */
#include "base/log.h"

void refused(const char *key, const char *text, const int *pointer, bool truth);
void refused(const char *key, const char *text, const int *pointer, bool truth)
{
    (void)key, (void)text, (void)pointer, (void)truth;
#if CASE == 0
    log_event(LOG_INFO, "e", LOG_NUMBER("n", 1), LOG_TEXT("t", text), LOG_TRUTH("b", truth), LOG_SECONDS("s", 1.5));
    log_event(LOG_INFO, "no_fields");
#elif CASE == 1
    log_event(LOG_INFO, "e", LOG_TEXT("t"));
#elif CASE == 2
    log_event(LOG_INFO, "e", LOG_TEXT("t", 1));
#elif CASE == 3
    log_event(LOG_INFO, "e", LOG_NUMBER("n", text));
#elif CASE == 4
    log_event(LOG_INFO, "e", LOG_NUMBER("n", truth));
#elif CASE == 5
    log_event(LOG_INFO, "e", LOG_NUMBER("n", 1.5));
#elif CASE == 6
    log_event(LOG_INFO, "e", LOG_TRUTH("b", "yes"));
#elif CASE == 7
    log_event(LOG_INFO, "e", LOG_TEXT(key, text));
#elif CASE == 8
    log_event(LOG_INFO, "e", "why=x");
#elif CASE == 9
    log_event(LOG_INFO, "e", LOG_TEXT("t", pointer));
#elif CASE == 10
    log_event(LOG_INFO, "e", LOG_SECONDS("s", 1));
#endif
}
