# Trainer.step, fit of one row, and evaluate, for batches that need no conversion.


cdef class QuickStep:
    """One step of a trainer: its TrainingWork, again and again.

    Parameters
    ----------
    version : Version
        The model.
    optimizer, specs : Optimizer, dict
        The optimizer, and its ``_specs``, which is another dict once a setting was assigned.
    work : TrainingWork
        One step over at most as many rows as ``targets`` has room for, in one thread; without
        rates. It will be done with other rows and targets.
    targets : QuickTargets
        The loss.
    answers : int
        For classification how many answers of a sample are right or wrong, else 0.
    """

    cdef Version version
    cdef object optimizer
    cdef object specs
    cdef TrainingWork work
    cdef QuickTargets targets
    cdef Update update           # of before the first step
    cdef Py_ssize_t answers
    cdef Figures figures         # of the last step

    def __init__(self, Version version not None, optimizer, specs, TrainingWork work not None,
                 QuickTargets targets not None, Py_ssize_t answers, /):
        self.version, self.optimizer, self.specs = version, optimizer, specs
        self.work, self.targets, self.answers = work, targets, answers
        self.update = work.job.update
        fbp_assert(work.job.plan.capacity >= targets.capacity and work.job.rates == NULL)

    def suits(self, Py_ssize_t n, /):
        """Whether batches of n rows can be quick, as far as this knows."""
        return (n <= self.targets.capacity and self.version.holds()
                and self.optimizer._specs is self.specs)

    def step(self, X, y, sample_weight, bint check_finite, /):
        """The mean cost of the batch before the step; None for what isn't simple."""
        cdef Seen rows
        cdef Figures figures
        if (not look_at_rows(X, self.work.job.plan.layers.n_in, self.targets.capacity, check_finite,
                             &rows)
                or not self.is_done(y, sample_weight, &rows, check_finite, &figures)):
            return None
        return figures.loss

    def fit_row(self, X, y, /):
        """Loss and accuracy (or None) of the only row of a fit; None for what isn't simple."""
        cdef Seen rows
        cdef Figures figures
        if (not look_at_rows(X, self.work.job.plan.layers.n_in, 1, True, &rows) or rows.n_dims != 2
                or not self.is_done(y, None, &rows, True, &figures)):
            return None
        return figures.loss, figures.accuracy if self.answers else None

    cdef bint is_done(self, object y, object weights, const Seen* rows, bint check_finite,
                      Figures* figures):
        """Do the step if all is simple and it can be done."""
        cdef Training* job = &self.work.job
        cdef double total
        cdef bint is_fine = False
        if not self.version.holds() or self.optimizer._specs is not self.specs:
            return False
        if not self.version.lock.begin_step():
            return False
        # From here on nothing can raise.
        total = self.targets.read(y, weights, rows, check_finite)
        if total != NOT_SIMPLE:
            self.version.counts.n_trainings += 1
            job.update = self.update
            self.prepare(rows)
            if is_short(job.plan, 3 * rows.n):
                self.work.again()
            else:
                with nogil:
                    self.work.again()
            if job.progress.outcome == FINE:
                atomic_add(&self.version.counts.n_forwards, 1)
                is_fine = True
                note_figures(&self.figures, job.progress.cost, total, job.progress.n_right,
                             rows.n * self.answers)
                figures[0] = self.figures        # no other thread's
        self.version.lock.end_step()
        return is_fine

    cdef void prepare(self, const Seen* rows) noexcept:
        """Begin the work anew, with these rows and the targets that were read."""
        cdef Training* job = &self.work.job
        job.rows.x, job.loss = rows.x, self.targets.loss
        job.last = job.batch_size = rows.n
        job.n_done, job.n_forwards = 0, self.version.counts.n_forwards
        memset(&job.progress, 0, sizeof(Progress))
        job.progress.outcome, job.progress.layer = FINE, -1
        job.undo.is_filled = False


cdef class QuickEvaluation(Quick):
    """evaluate without metrics.

    Parameters
    ----------
    version : Version
        The model.
    network : Network
        Its plan.
    targets : QuickTargets
        The loss.
    answers : int
        For classification how many answers of a sample are right or wrong, else 0.
    """

    cdef Version version
    cdef Network network
    cdef QuickTargets targets
    cdef Room scratch
    cdef Room costs
    cdef Room rights
    cdef Py_ssize_t answers
    cdef Figures figures         # of the last call

    def __init__(self, Version version not None, Network network not None,
                 QuickTargets targets not None, Py_ssize_t answers, /):
        fbp_assert(targets.capacity <= PREDICT_ROWS)
        self.version, self.network = version, network
        self.targets, self.answers = targets, answers
        self.scratch = Room(3 * PREDICT_ROWS * network.widest)
        self.costs = Room(PREDICT_ROWS + BLOCK)
        self.rights = Room(PREDICT_ROWS)

    def suits(self, Py_ssize_t n, /):
        """Whether n rows can be quick, as far as this knows."""
        return self.version.holds() and n <= self.targets.capacity

    def evaluate(self, X, y, sample_weight, bint check_finite, /):
        """The figures as a dict; None for what isn't simple."""
        cdef Seen rows
        cdef double total
        cdef Figures figures
        cdef Py_ssize_t n_in = self.network.plan.layers.n_in, most = self.targets.capacity
        if not self.version.holds() or not look_at_rows(X, n_in, most, check_finite, &rows):
            return None
        if rows.n_dims != 2 or not self.take():
            return None
        total = self.targets.read(y, sample_weight, &rows, check_finite)
        if total > 0:                            # NOT_SIMPLE is below, and no weight is refused
            if find_nonfinite(&self.network.parameters[0], self.network.plan.n_parameters) >= 0:
                total = NOT_SIMPLE
            elif is_short(&self.network.plan, rows.n):
                self.compare(&rows, total)
            else:
                with nogil:
                    self.compare(&rows, total)
        figures = self.figures
        self.leave()
        if not total > 0:
            return None
        if self.answers:
            return {"loss": figures.loss, "accuracy": figures.accuracy}
        return {"loss": figures.loss}

    cdef void compare(self, const Seen* rows, double total) noexcept nogil:
        cdef Py_ssize_t n_right = 0
        cdef Batch batch
        cdef Mode caller = begin_mode()
        predict_rows(&self.network.plan, rows.x, rows.n, self.scratch.start, PREDICT_ROWS,
                     self.network.widest, &batch)
        batch.costs = self.costs.start
        self.targets.loss.rights = NULL
        if self.answers and self.targets.loss.weights != NULL:
            self.targets.loss.rights = self.rights.start
        compare_rows(&self.targets.loss, &batch, NULL, 0, &n_right)
        self.note(sum_of_costs(batch.costs, rows.n, 0), total, n_right, rows.n)
        end_mode(caller)

    cdef void note(
        self, double cost, double total, Py_ssize_t n_right, Py_ssize_t n,
    ) noexcept nogil:
        """Make the figures; what was right counts as its sample does."""
        cdef const real* weights = self.targets.loss.weights
        cdef double right = 0
        cdef Py_ssize_t i
        if self.targets.loss.rights == NULL:
            note_figures(&self.figures, cost, total, n_right, n * self.answers)
            return
        for i in range(n):
            right += <double>weights[i] * <double>self.rights.start[i]
        note_figures(&self.figures, cost, total, right, total * self.answers)
