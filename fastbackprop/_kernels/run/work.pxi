# The calls of the kernels that threads share; training steps (predictions: prediction.pxi).

from cpython.time cimport perf_counter

cdef class Work:
    """A call of the kernels that threads may share: the one that asks runs it, others help."""

    cdef Team team
    cdef object kept             # alive as long as the threads need it
    cdef readonly double waited  # seconds that the one who asked waited for the GIL afterwards

    def limit(self, int n_threads, /):
        """Share it with fewer helpers than it was made for; before ``run``."""
        fbp_assert(n_threads >= 1)
        self.team.most = min(self.team.most, n_threads - 1)

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
    loss_spec : LossSpec
        The loss.
    update_spec : UpdateSpec
        The optimizer.
    state : array
        What it keeps: a header and planes, see spec.pxi.
    cost, n_right : float, int
        The sums to carry on from.
    n_threads, crowded : int, bool
        How many threads may share it; whether they are more than cores.
    undo : array, optional
        Room for all parameters, then the state: what is put back, still in this call, if a step
        isn't FINE.
    undo_is_filled : bool
        False leaves it to the one step of this call to fill ``undo``, if it may need it.
    rates : array of shape (n_steps, 3), optional
        Learning rate, momentum and weight decay of each step of this call, instead of the spec's.
        What is 0 in the spec must be 0 here, but for the learning rate.
    weights, shares : array, optional
        Of each row of X: see Loss.
    clip_value, clip_norm : float
        The largest gradient, and the largest norm of all gradients together; 0 stands for any.
    clipping : array, optional
        Scratch, where there is a clip_norm: see Network.clipping_scratch_size.
    n_forwards : int
        Training forwards of the model before this call: what dropout's masks depend on.
    rights : array of shape (last - first,), optional
        Gets how many answers of each row were right, in their order.
    report : array of shape (n_steps, 2), optional
        Gets of each step the sum of the costs of its batch, and the sum of the squares of all
        weights before it (0 without a weight decay).
    is_packed, goes_on : bool
        Whether the call before in this workspace went on to this one with the same weights, and
        whether there will be such a call after it: then W^T is packed where it is corrected.
    """

    cdef Training job
    cdef Network network
    cdef bint is_over

    def __init__(
        self, Workspace workspace, const real[:, ::1] X, const real[:, ::1] targets,
        const int64_t[::1] labels, const int64_t[::1] order,
        Py_ssize_t first, Py_ssize_t last, Py_ssize_t batch_size,
        LossSpec loss_spec not None, UpdateSpec update_spec not None, real[::1] state not None,
        double cost, Py_ssize_t n_right, int n_threads=1, bint crowded=False,
        real[::1] undo=None, const double[:, ::1] rates=None, bint undo_is_filled=True,
        double clip_value=0, double clip_norm=0, real[::1] clipping=None,
        const real[::1] weights=None, const real[::1] shares=None, int64_t n_forwards=0,
        double[:, ::1] report=None, real[::1] rights=None, bint is_packed=False,
        bint goes_on=False,
    ):
        cdef Training* job = &self.job
        cdef int lists
        fbp_assert(min(batch_size, last - first) <= workspace.plan.capacity)
        fbp_assert(first < last <= X.shape[0])
        self.kept = (workspace, X, targets, labels, order, loss_spec, update_spec, state, undo,
                     rates, clipping, weights, shares, report, rights)
        fbp_assert(rights is None or rights.shape[0] == last - first)
        job.plan = &workspace.plan
        job.rows.x = start_of_2d(X)
        job.rows.order = &order[0] if order is not None else NULL
        job.loss = loss_on(loss_spec, targets, labels, weights, shares, rights, first)
        self.network = workspace.network
        job.undo.parameters = &self.network.parameters[0]
        job.undo.n_parameters = job.plan.n_parameters
        if undo is not None and self.network.running is not None:
            job.undo.n_parameters += self.network.running.shape[0]
            fbp_assert(self.network.running.shape[0] == 0 or &self.network.running[0]
                       == &self.network.parameters[0] + job.plan.n_parameters)
        job.undo.state, job.undo.n_state = &state[0], state.shape[0]
        job.undo.room = &undo[0] if undo is not None else NULL
        job.undo.is_filled = undo_is_filled
        fbp_assert(undo is None
                   or undo.shape[0] >= job.undo.n_parameters + job.undo.n_state)
        fbp_assert(undo_is_filled or last - first <= batch_size)
        job.update = update_on(update_spec, state, job.plan.n_parameters)
        job.header = header_of(state)
        job.update.clip_value, job.clip_norm = rounded(clip_value), clip_norm
        job.update.is_clipped = clip_value != 0 or clip_norm != 0
        job.update.is_plain = job.update.is_plain and not job.update.is_clipped
        job.n_seats, job.is_packed, job.goes_on = n_threads, is_packed, goes_on
        job.by_layers = n_threads > 1 and pays_layers(job.plan)
        lists = list_of_phases(job.by_layers, clip_norm != 0)
        job.phases, job.n_phases = job.plan.phases[lists], job.plan.n_phases[lists]
        if clip_norm != 0:
            fbp_assert(clipping.shape[0] >= self.network.clipping_scratch_size)
            job.gradients, job.squares = &clipping[0], &clipping[0] + job.plan.n_parameters
        fbp_assert(rates is None or (rates.shape[1] == RATES and
                                     rates.shape[0] >= pieces(last - first, batch_size)))
        job.rates = &rates[0, 0] if rates is not None else NULL
        fbp_assert(report is None or (report.shape[1] == REPORTS and
                                      report.shape[0] >= pieces(last - first, batch_size)))
        job.report = &report[0, 0] if report is not None else NULL
        job.n_done, job.n_forwards = 0, n_forwards
        job.first, job.last, job.batch_size = first, last, batch_size
        # Two chunks for each thread, of whole tiles: each chunk reads all weights.
        job.rows_per_chunk = max(MIN_ROWS, pieces(batch_size,
                                                  <Py_ssize_t>2 * n_threads * MIN_ROWS) * MIN_ROWS)
        job.progress.cost, job.progress.n_right = cost, n_right
        job.progress.outcome, job.progress.layer = FINE, -1
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
        cdef Py_ssize_t together
        cdef double end = 0
        try:
            self.prepare_undo()
            if self.team.most > 0:
                together = self.job.rows_per_chunk
                if self.job.by_layers:
                    together = self.job.batch_size
                if not prepare_blame(self.job.plan, self.job.batch_size, together):
                    self.job.is_packed = False
                self.share(call)
            else:
                with nogil:
                    self.run_alone()
                    end = perf_counter()
                self.waited = perf_counter() - end
        finally:
            self.end()
        return progress.outcome, progress.cost, progress.n_right, progress.start, progress.layer

    cdef void run_alone(self) noexcept nogil:
        """Do it in this thread."""
        cdef Mode caller = begin_mode()
        if self.is_single():
            train_singly(&self.job)
        else:
            train_alone(&self.job)
        end_mode(caller)

    cdef void again(self) noexcept nogil:
        """Do it in this thread, once more with what the job has now; a wrong step is undone."""
        self.prepare_undo()
        self.run_alone()
        if self.job.progress.outcome != FINE:
            put_back(&self.job.undo)

    cdef void prepare_undo(self) noexcept nogil:
        """Copy now what a wrong step would spoil, unless the step itself shall see to that."""
        cdef Undo* undo = &self.job.undo
        if undo.room != NULL and not undo.is_filled and not can_be_bounded(
            self.job.plan, self.job.last - self.job.first, undo.n_parameters + undo.n_state
        ):
            fill_undo(undo)

    cdef bint is_single(self) noexcept nogil:
        """Whether the steps are those that single.pxi does.

        There weights are corrected before all deltas are known, so nothing can be bounded. It packs
        W^T, which doesn't pay where weights are far.
        """
        return (self.job.batch_size == 1 and self.job.update.is_plain
                and (self.job.undo.room == NULL or self.job.undo.is_filled)
                and self.job.loss.weights == NULL and self.job.loss.shares == NULL
                and self.job.loss.rights == NULL
                and is_products(self.job.plan) and not self.job.plan.has_limits
                and not pays_layers(self.job.plan))

    cdef void end(self) noexcept:
        """Undo a wrong step: before Python could hear of Ctrl-C."""
        if self.is_over:
            return
        self.is_over = True
        if self.job.progress.outcome != FINE:
            put_back(&self.job.undo)
