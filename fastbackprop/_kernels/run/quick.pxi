# Quick paths of a model: what a call needs is at hand from the call before. Each does what its long
# way does, with the same bits, errors and locks, or returns None and has changed nothing.


cdef struct Figures:
    double loss                  # the sum of costs, until ``make_means``
    double accuracy              # what was right
    double total                 # what they are divided by
    double n_answers             # 0 where there are none


cdef out_of_line make_means(Figures* figures) noexcept nogil:
    """Sums become means: in memory, since the compiler could move locals out of their mode."""
    cdef Mode caller = begin_mode()
    figures.loss = figures.loss / figures.total if figures.total > 0 else 0
    figures.accuracy = figures.accuracy / figures.n_answers if figures.n_answers > 0 else 0
    end_mode(caller)


cdef inline void note_figures(
    Figures* figures, double cost, double total, double n_right, double n_answers,
) noexcept nogil:
    """Means of these sums."""
    figures.loss, figures.accuracy = cost, n_right
    figures.total, figures.n_answers = total, n_answers
    make_means(figures)


cdef class Version:
    """A model as it is now; quick paths of it hold until it is another one.

    Parameters
    ----------
    counts : array of int64
        The model's: see Counts. What the others belong to must be looked up after this was made.
    lock : TrainingLock
        The model's.
    is_simple : bool
        Whether there can be quick paths at all: not where it scales inputs or targets.
    """

    cdef TrainingLock lock
    cdef object all_counts
    cdef Counts* counts
    cdef int64_t n_changes
    cdef bint is_simple

    def __cinit__(self, int64_t[::1] counts not None, TrainingLock lock not None,
                  bint is_simple, /):
        fbp_assert(counts.shape[0] * sizeof(int64_t) == sizeof(Counts))
        self.lock, self.all_counts, self.counts = lock, counts, <Counts*>&counts[0]
        self.n_changes, self.is_simple = self.counts.n_changes, is_simple

    cdef bint holds(self) noexcept:
        """Whether the model is the same still."""
        return (self.counts.n_changes == self.n_changes and self.is_simple
                and not self.counts.is_pinned)

    @property
    def is_current(self):
        """Whether the model is the same still."""
        return self.holds()


cdef inline bint is_short(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """Whether a pass of n rows is so short that the GIL is kept for it."""
    return n * plan.n_parameters <= QUICK_PRODUCTS
