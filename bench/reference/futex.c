/*
 * Two threads that sleep on a futex each and wake each other: the least cost of a switch between
 * sleeping threads on Linux. With the argument `processes`: two processes. With a second argument
 * they are pinned: `same` to one CPU, `apart` to two. Otherwise the scheduler places them.
 */
#include "reference.h"
#include "cpu.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct words {
	_Alignas(CACHE_LINE) _Atomic uint32_t there;
	_Alignas(CACHE_LINE) _Atomic uint32_t back;
};
static struct words *words;
/* FUTEX_PRIVATE_FLAG, unless the other side is another process. */
static int private_flag = FUTEX_PRIVATE_FLAG;

static void await_change(_Atomic uint32_t *word, uint32_t from)
{
	while (atomic_load(word) == from)
		syscall(SYS_futex, word, FUTEX_WAIT | private_flag, from, NULL, NULL, 0);
}

static void set(_Atomic uint32_t *word, uint32_t to)
{
	atomic_store(word, to);
	syscall(SYS_futex, word, FUTEX_WAKE | private_flag, 1, NULL, NULL, 0);
}

static void *answer(void *unused)
{
	for (uint32_t number = 0;; number++) {
		await_change(&words->there, number);
		set(&words->back, number + 1);
	}
	return unused;
}

static void there_and_back(unsigned int count)
{
	uint32_t number = atomic_load(&words->there);

	for (; count-- > 0; number++) {
		set(&words->there, number + 1);
		await_change(&words->back, number);
	}
}

int main(int count, char **arguments)
{
	const char *placement = count > 2 ? arguments[2] : "";
	pthread_t thread;

	words = mmap(NULL, sizeof(*words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		return 1;
	if (*placement != '\0' && pin_to(0) != 0)
		return 1;
	if (count > 1 && strcmp(arguments[1], "processes") == 0) {
		private_flag = 0;
		pid_t child = fork();

		if (child < 0)
			return 1;
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (strcmp(placement, "apart") == 0 && pin_to(1) != 0)
				return 1;
			answer(NULL);
		}
	} else if (pthread_create(&thread, NULL, answer, NULL) != 0) {
		return 1;
	}
	measure(there_and_back, 32);
	fflush(stdout);
	_Exit(0);
}
