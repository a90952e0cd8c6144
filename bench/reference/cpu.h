/*
 * Where a thread of a reference runs.
 */
#ifndef CPU_H
#define CPU_H

#include <sched.h>

/* Pins the calling thread, and those that it starts from now on, to a CPU. Returns 0 if that worked. */
static inline int pin_to(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

#endif
