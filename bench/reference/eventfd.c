/*
 * Two threads that block in read() of an eventfd each and wake each other by write(), as a kernel
 * notifies a process.
 */
#include "reference.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int there, back;

static void signal_event(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void await_event(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count) || count != 1)
		abort();
}

static void *answer(void *unused)
{
	for (;;) {
		await_event(there);
		signal_event(back);
	}
	return unused;
}

static void there_and_back(unsigned int count)
{
	while (count-- > 0) {
		signal_event(there);
		await_event(back);
	}
}

int main(void)
{
	pthread_t thread;

	there = eventfd(0, 0);
	back = eventfd(0, 0);
	if (there < 0 || back < 0 || pthread_create(&thread, NULL, answer, NULL) != 0)
		return 1;
	measure(there_and_back, 32);
	fflush(stdout);
	_Exit(0);
}
