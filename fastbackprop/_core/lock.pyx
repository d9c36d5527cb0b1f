"""The lock of a model: one thread trains it, and copies of its weights are those of a step's end.

A lock that Python code takes and gives back can be left taken: Ctrl-C raises between any two
bytecodes, so also between taking it and the ``try``, and inside the ``finally``. Here the lock runs
the function itself. Between taking it and calling the function, and between the function's return
and giving it back, there is only C, in which Python raises nothing: no interrupt, no exception of a
trace function and no lack of memory can strand it.

What is locked belongs to a thread of a process. A forked child counts itself as another process;
there whoever had locked the model is not a thread any more, or goes on as a holder of nothing.

All changes are made under the GIL, or, in a Python without one, in a critical section.
"""

import os
from time import sleep

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident

PAUSE = 5e-5  # seconds between two looks at whether the others are ready

cdef long n_forks = 0                            # between the first process and this one


def _note_fork():
    global n_forks
    n_forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@cython.final
cdef class TrainingLock:
    """Lets one thread train, again and again; others may copy the weights between its steps."""

    def __cinit__(self):
        self.n_forks = n_forks

    cdef void renew(self) noexcept:
        """Forget the threads of a parent process; inside the critical section."""
        if self.n_forks != n_forks:
            self.owner = self.writer = self.readers = 0
            self.n_forks = n_forks

    cdef unsigned long take(self, unsigned long thread) noexcept:
        """Returns who had it: 0 if it is the thread's from now on."""
        cdef unsigned long before
        with cython.critical_section(self):
            self.renew()
            before = self.owner
            if before == 0:
                self.owner = thread
        return before

    cdef void give_back(self, unsigned long thread) noexcept:
        with cython.critical_section(self):
            self.renew()
            if self.owner == thread:
                self.owner = 0

    cdef bint begin_write(self, unsigned long thread) noexcept:
        cdef bint may
        with cython.critical_section(self):
            self.renew()
            may = self.readers == 0 and self.writer == 0
            if may:
                self.writer = thread
        return may

    cdef void end_write(self, unsigned long thread) noexcept:
        with cython.critical_section(self):
            self.renew()
            if self.writer == thread:
                self.writer = 0

    cdef unsigned long writing(self) noexcept:
        cdef unsigned long thread
        with cython.critical_section(self):
            self.renew()
            thread = self.writer
        return thread

    cdef void count_reader(self, long n) noexcept:
        with cython.critical_section(self):
            self.renew()
            self.readers = max(0, self.readers + n)

    cdef bint begin_step(self) noexcept:
        """Take it and begin to write, both at once; False where anybody is in the way."""
        cdef bint may
        with cython.critical_section(self):
            self.renew()
            may = self.owner == 0 and self.readers == 0 and self.writer == 0
            if may:
                self.owner = self.writer = PyThread_get_thread_ident()
        return may

    cdef void end_step(self) noexcept:
        """Give back what ``begin_step`` took."""
        cdef unsigned long me = PyThread_get_thread_ident()
        with cython.critical_section(self):
            self.renew()
            if self.owner == me:
                self.owner = self.writer = 0

    def is_held_by_another(self):
        """Whether another thread trains."""
        cdef unsigned long owner
        with cython.critical_section(self):
            self.renew()
            owner = self.owner
        return owner != 0 and owner != PyThread_get_thread_ident()

    def run(self, function, *arguments):
        """Return ``function(*arguments)``, called by the only thread that may train meanwhile.

        Raises
        ------
        RuntimeError
            If another thread trains.
        """
        cdef unsigned long me = PyThread_get_thread_ident()
        cdef unsigned long before = self.take(me)
        if before != 0 and before != me:
            raise RuntimeError("A model must be trained by one thread at a time, got a second one.")
        try:
            return function(*arguments)
        finally:
            if before == 0:
                self.give_back(me)

    def write(self, function, *arguments):
        """Return ``function(*arguments)``, which changes the weights, once nobody copies them."""
        cdef unsigned long me = PyThread_get_thread_ident()
        while not self.begin_write(me):
            sleep(PAUSE)
        try:
            return function(*arguments)
        finally:
            self.end_write(me)

    def read(self, function, *arguments):
        """Return ``function(*arguments)``, which copies weights, at the end of a step.

        It waits for the call of the kernels at work, and the next one waits for it. What runs in
        the training thread itself (a signal's handler) doesn't wait: there the kernels are not at
        work.
        """
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.writing() == me:
            return function(*arguments)
        self.count_reader(1)
        try:
            while self.writing() != 0:
                sleep(PAUSE)
            return function(*arguments)
        finally:
            self.count_reader(-1)


def run_then(function, settle):
    """Return ``function()``, and call ``settle()`` however that ends.

    Ctrl-C can't come between the two, since there is only C. Where it comes into ``settle``, that
    is called again, so it must be the same to call it twice; KeyboardInterrupt is raised behind it.
    """
    interrupt = None
    try:
        return function()
    finally:
        while True:
            try:
                settle()
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
