# The calls of the kernels that threads share; training steps (predictions: prediction.pxi).

from cpython.time cimport perf_counter

cdef class Work:
    """A call of the kernels that threads may share: the one that asks runs it, others help."""

    cdef Team team
    cdef object kept             # alive as long as the threads need it
    cdef readonly double waited  # seconds that the one who asked waited for the GIL afterwards

    cdef share(self, call):
        """Call helpers and lead them, whatever happens: nobody may be left at work alone."""
        cdef int64_t i
        cdef double end = 0
        if atomic_load(&self.team.members[0]) >= CLOSED:
            raise RuntimeError("a Work runs once")
        try:
            for i in range(self.team.most if call is not None else 0):
                call(self)
        except MemoryError:
            pass                                 # helpers are welcome, not needed
        finally:
            with nogil:
                lead(&self.team)
                end = perf_counter()
            self.waited = perf_counter() - end

    def help(self):
        """Take a share, if the work isn't over yet; for any thread but the one in ``run``."""
        with nogil:
            help_out(&self.team)


cdef class TrainingWork(Work):
    """Steps over the rows [first, last) of ``order``, or of X where it is None.

    Parameters
    ----------
    loss_spec, update_spec : tuple
        See loss_from and update_from.
    cost, n_right : float, int
        The sums to carry on from.
    n_threads, crowded : int, bool
        How many threads may share it; whether they are more than cores.
    undo : array, optional
        Values of all parameters, then of the velocity where there is momentum: what is put back,
        still in this call, if a step isn't FINE.
    n_steps : array of one int64, optional
        Counts the steps that were done, those before a wrong one too.
    """

    cdef Training job
    cdef Network network
    cdef const real* undo                        # or NULL
    cdef Py_ssize_t n_parameters
    cdef int64_t* n_steps                        # or NULL
    cdef bint is_over

    def __init__(
        self, Workspace workspace, const real[:, ::1] X, const real[:, ::1] targets,
        const int64_t[::1] labels, const int64_t[::1] order,
        Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_size,
        tuple loss_spec, tuple update_spec, real[::1] velocity, double cost, Py_ssize_t n_right,
        int n_threads=1, bint crowded=False, const real[::1] undo=None,
        int64_t[::1] n_steps=None,
    ):
        cdef Training* job = &self.job
        cdef real* parameters
        fbp_assert(min(batch_size, last - first) <= workspace.plan.capacity)
        fbp_assert(first < last <= X.shape[0])
        self.kept = workspace, X, targets, labels, order, velocity, undo, n_steps
        job.plan = &workspace.plan
        job.rows.x = start_of_2d(X)
        job.rows.order = &order[0] if order is not None else NULL
        job.loss = loss_from(loss_spec, targets, labels)
        job.gradient_factor = loss_spec[2]
        job.update = update_from(update_spec, velocity)
        # Without momentum nobody reads the velocity; any valid address will do.
        parameters = &workspace.network.parameters[0]
        job.velocity = &velocity[0] if job.update.has_momentum else parameters
        job.first, job.last, job.batch_size = first, last, batch_size
        # Some chunks for each thread, of whole tiles; few enough that weights are read from nearby.
        job.rows_per_chunk = max(MIN_ROWS, pieces(batch_size,
                                                  <Py_ssize_t>4 * n_threads * MIN_ROWS) * MIN_ROWS)
        job.progress.cost, job.progress.n_right = cost, n_right
        job.progress.outcome, job.progress.layer = FINE, -1
        self.network = workspace.network
        self.n_parameters = self.network.parameters.shape[0]
        self.undo = &undo[0] if undo is not None else NULL
        fbp_assert(undo is None or undo.shape[0] >= self.n_parameters
                   * (2 if job.update.has_momentum else 1))
        self.n_steps = &n_steps[0] if n_steps is not None else NULL
        self.team.job = job
        self.team.n_chunks, self.team.work = training_chunks, training_work
        self.team.close = training_close
        open_team(&self.team, n_threads, crowded)

    def run(self, call=None):
        """Do it; returns the outcome, the sums, and for an outcome other than 0 where it was.

        That is the first row of the batch, and the layer. ``call(work)`` makes one other
        thread call ``work.help()``.
        """
        cdef Progress* progress = &self.job.progress
        cdef Mode caller
        cdef double end = 0
        try:
            if self.team.most > 0:
                self.share(call)
            else:
                with nogil:
                    caller = begin_mode()
                    if self.is_single():
                        train_singly(&self.job)
                    else:
                        train_alone(&self.job)
                    end_mode(caller)
                    end = perf_counter()
                self.waited = perf_counter() - end
        finally:
            self.end()
        return progress.outcome, progress.cost, progress.n_right, progress.start, progress.layer

    cdef bint is_single(self) noexcept nogil:
        """Whether the steps are those that single.pxi does."""
        return self.job.batch_size == 1 and self.job.update.is_plain and is_products(self.job.plan)

    cdef void end(self) noexcept:
        """Count the steps and undo a wrong one: before Python could hear of Ctrl-C."""
        cdef const Training* job = &self.job
        cdef Py_ssize_t size = self.n_parameters * sizeof(real)
        cdef bint is_fine = job.progress.outcome == FINE
        if self.is_over:
            return
        self.is_over = True
        if self.n_steps != NULL:
            self.n_steps[0] += pieces((job.last if is_fine else job.progress.start) - job.first,
                                      job.batch_size)
        if self.undo != NULL and not is_fine:
            memcpy(&self.network.parameters[0], self.undo, size)
            if job.update.has_momentum:
                memcpy(job.velocity, self.undo + self.n_parameters, size)
