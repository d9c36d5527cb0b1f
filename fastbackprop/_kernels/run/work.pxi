# The calls of the kernels that threads share: training steps, and predictions.

cdef class Work:
    """A call of the kernels that several threads may share: ``run`` by the one that asks, ``help`` by others."""

    cdef Team team
    cdef object kept             # alive as long as the threads need it

    cdef share(self, call):
        """Call helpers and lead them, whatever happens: nobody may be left at work alone."""
        cdef int64_t i
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
    """

    cdef Training job

    def __init__(
        self, Network network, const real[:, ::1] X, const real[:, ::1] targets, const int64_t[::1] labels,
        const int64_t[::1] order, Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_size,
        tuple loss_spec, tuple update_spec, real[::1] velocity, double cost, Py_ssize_t n_right,
        int n_threads=1, bint crowded=False,
    ):
        cdef Training* job = &self.job
        fbp_assert(min(batch_size, last - first) <= network.plan.capacity and first < last <= X.shape[0])
        self.kept = network, X, targets, labels, order, velocity, network.scratch
        job.plan = &network.plan
        job.rows.x = start_of_2d(X)
        job.rows.order = &order[0] if order is not None else NULL
        job.loss = loss_from(loss_spec, targets, labels)
        job.gradient_factor = loss_spec[2]
        job.update = update_from(update_spec)
        # Without momentum nobody reads the velocity; any valid address will do.
        job.velocity = &velocity[0] if job.update.momentum != 0 else &network.parameters[0]
        job.first, job.last, job.batch_size = first, last, batch_size
        # Some chunks for each thread, of whole tiles; few enough that weights are read from nearby.
        job.rows_per_chunk = max(MIN_ROWS, pieces(batch_size, <Py_ssize_t>4 * n_threads * MIN_ROWS) * MIN_ROWS)
        job.progress.cost, job.progress.n_right = cost, n_right
        job.progress.outcome, job.progress.layer = FINE, -1
        self.team.job = job
        self.team.n_chunks, self.team.work, self.team.close = training_chunks, training_work, training_close
        open_team(&self.team, n_threads, crowded)

    def run(self, call=None):
        """Do it; returns the outcome, the sums, and for an outcome other than 0 where it was.

        That is the first row of the batch, and the layer. ``call(work)`` makes one other
        thread call ``work.help()``.
        """
        cdef Progress* progress = &self.job.progress
        if self.team.most > 0:
            self.share(call)
            return progress.outcome, progress.cost, progress.n_right, progress.start, progress.layer
        with nogil:
            if self.job.batch_size == 1 and self.job.update.is_plain:
                train_singly(&self.job)
            else:
                train_alone(&self.job)
        return progress.outcome, progress.cost, progress.n_right, progress.start, progress.layer


cdef class PredictionWork(Work):
    """The network's outputs for every row of X, or with a loss_spec their costs.

    Parameters
    ----------
    out : ndarray of shape (n, n_out)
        Gets the outputs; None for costs.
    costs : ndarray of shape (n,)
        Gets the cost of each row; None for outputs.
    scratch : ndarray
        predict_scratch_size for each thread.
    """

    cdef Prediction job
    cdef Loss loss

    def __init__(
        self, Network network, const real[:, ::1] X, real[:, ::1] out, real[::1] scratch,
        const real[:, ::1] targets=None, const int64_t[::1] labels=None, tuple loss_spec=None, real[::1] costs=None,
        int n_threads=1, bint crowded=False,
    ):
        cdef Prediction* job = &self.job
        fbp_assert(scratch.shape[0] >= n_threads * 3 * PREDICT_ROWS * network.widest)
        if IS_DEBUG:
            spoil(scratch)
        self.kept = network, X, out, scratch, targets, labels, costs
        job.plan, job.x, job.n = &network.plan, start_of_2d(X), X.shape[0]
        job.widest, job.scratch = network.widest, &scratch[0]
        job.loss, job.n_right = NULL, 0
        if loss_spec is not None:
            fbp_assert(costs.shape[0] == X.shape[0])
            self.loss = loss_from(loss_spec, targets, labels)
            job.loss = &self.loss
            job.costs = &costs[0] if costs.shape[0] > 0 else NULL
        else:
            fbp_assert(out.shape[0] == X.shape[0])
            job.out = &out[0, 0] if out.shape[0] > 0 else NULL
        self.team.job = job
        self.team.n_chunks, self.team.work, self.team.close = prediction_chunks, prediction_work, prediction_close
        open_team(&self.team, n_threads, crowded)

    def run(self, call=None):
        """Do it; returns how many were right, where a loss was given. ``call`` as in TrainingWork."""
        if self.job.n > 0:
            self.share(call)
        return self.job.n_right
