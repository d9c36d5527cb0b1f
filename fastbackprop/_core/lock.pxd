# What the kernels call of the lock: their quick paths take it without calling Python.

cdef class TrainingLock:
    cdef unsigned long owner     # the thread that trains, or 0
    cdef unsigned long writer    # the thread whose kernels change the weights right now, or 0
    cdef long readers            # threads that copy the weights, or wait to
    cdef long n_forks            # of the process that all this is said of

    cdef void renew(self) noexcept
    cdef unsigned long take(self, unsigned long thread) noexcept
    cdef void give_back(self, unsigned long thread) noexcept
    cdef bint begin_write(self, unsigned long thread) noexcept
    cdef void end_write(self, unsigned long thread) noexcept
    cdef unsigned long writing(self) noexcept
    cdef void count_reader(self, long n) noexcept
    cdef bint begin_step(self) noexcept
    cdef void end_step(self) noexcept
