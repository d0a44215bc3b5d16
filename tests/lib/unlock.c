/* For LD_PRELOAD into kvfsd: now and then a thread pauses when it has unlocked a mutex,
 * so that others come in between. What is right only as long as nobody does, fails. */
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static _Thread_local unsigned count;
    const struct timespec pause = {.tv_nsec = 1000 * 1000};
    __typeof__(&pthread_mutex_unlock) real;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    int err = real(mutex);
    count = count * 1103515245u + 12345u;
    if ((count >> 16) % 8 == 0)
        (void)nanosleep(&pause, NULL);
    return err;
}
