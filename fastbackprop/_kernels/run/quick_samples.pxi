# sample_gradients and hessian_vector_product of a net of products, for batches that need no
# conversion.


cdef list layer_arrays(const Plan* plan, Py_ssize_t n):
    """For each layer (weight, bias), for n samples; with n = 0 for none in particular."""
    cdef const Layer* layer
    cdef cnp.npy_intp shape[3]
    cdef Py_ssize_t k
    cdef int first = 0 if n > 0 else 1
    arrays = []
    shape[0] = n
    for k in range(plan.n_layers):
        layer = plan.layers + k
        shape[1], shape[2] = layer.n_in, layer.n_out
        weight = cnp.PyArray_EMPTY(3 - first, shape + first, REAL_TYPE, 0)
        bias = None
        if layer.bias != NULL:
            shape[1] = layer.n_out
            bias = cnp.PyArray_EMPTY(2 - first, shape + first, REAL_TYPE, 0)
        arrays.append((weight, bias))
    return arrays


cdef bint is_for(object array, Py_ssize_t rows, Py_ssize_t columns) noexcept:
    """Whether it is an array (rows, columns), or with rows = 0 a vector, to be read as it lies."""
    cdef int n_dims = 2 if rows > 0 else 1
    return (cnp.PyArray_CheckExact(array) and cnp.PyArray_TYPE(array) == REAL_TYPE
            and cnp.PyArray_ISCARRAY_RO(array) and cnp.PyArray_NDIM(array) == n_dims
            and (rows == 0 or cnp.PyArray_DIM(array, 0) == rows)
            and cnp.PyArray_DIM(array, n_dims - 1) == columns)


cdef list read_direction(const Plan* plan, object v):
    """Its pairs, if each is of arrays that can be copied as they are; else None."""
    cdef const Layer* layer
    cdef Py_ssize_t k
    if type(v) is not list or len(v) != plan.n_layers:
        return None
    pairs = list(v)                              # nobody changes this one
    for k in range(plan.n_layers):
        layer = plan.layers + k
        pair = pairs[k]
        if type(pair) is not tuple or len(pair) != 2:
            return None
        if not is_for(pair[0], layer.n_in, layer.n_out):
            return None
        if layer.bias == NULL:
            if pair[1] is not None:
                return None
        elif not is_for(pair[1], 0, layer.n_out):
            return None
    return pairs


cdef class QuickSamples(Quick):
    """Gradients of samples, and products with the Hessian.

    Parameters
    ----------
    version : Version
        The model, whose layers are products.
    workspace, direction : Workspace
        For as many rows as ``targets``, for this alone: of the model, and of a network whose
        weights will be v.
    targets : QuickTargets
        The loss.
    loss : str or Loss
        As users give it.
    scratch : ndarray
        See HessianWork; with it ``out``.
    """

    cdef Version version
    cdef Workspace workspace, direction
    cdef QuickTargets targets
    cdef object loss
    cdef real[::1] out, scratch
    cdef real** places           # (2 n_layers,)

    def __cinit__(self, Version version not None, Workspace workspace not None, *args):
        self.places = <real**>calloc(2 * workspace.plan.n_layers, sizeof(void*))
        if self.places == NULL:
            raise MemoryError("no memory for gradients")

    def __dealloc__(self):
        free(self.places)

    def __init__(
        self, Version version not None, Workspace workspace not None,
        Workspace direction not None, QuickTargets targets not None, loss,
        real[::1] out, real[::1] scratch, /
    ):
        cdef Py_ssize_t k
        for k in range(workspace.plan.n_layers):
            fbp_assert(workspace.plan.layers[k].op == PRODUCT)
        fbp_assert(targets.capacity <= workspace.plan.capacity)
        fbp_assert(targets.capacity <= direction.plan.capacity)
        self.version, self.workspace, self.direction = version, workspace, direction
        self.targets, self.loss, self.out, self.scratch = targets, loss, out, scratch

    def suits(self, Py_ssize_t n, loss, /):
        """Whether a call of n rows can be quick, as far as this knows."""
        return self.version.holds() and n <= self.targets.capacity and self.is_of(loss)

    cdef bint is_of(self, loss):
        return loss is self.loss or (type(loss) is type(self.loss) and loss == self.loss)

    cdef bint looks_simple(self, X, loss, Seen* rows):
        cdef const Plan* plan = &self.workspace.plan
        return (self.is_of(loss)
                and look_at_rows(X, plan.layers.n_in, self.targets.capacity, True, rows)
                and rows.n_dims == 2)

    cdef bint is_ready(self, y, const Seen* rows) noexcept:
        """Whether targets and weights are fine, and the scratch the caller's until ``leave``."""
        cdef const Plan* plan = &self.workspace.plan
        if not self.version.holds() or not self.take():
            return False
        if (find_nonfinite(plan.layers.weight, plan.n_parameters) < 0
                and self.targets.read(y, None, rows, True) > 0):
            return True
        self.leave()
        return False

    def sample_gradients(self, X, y, loss, /):
        """What ``Sequential.sample_gradients`` returns; None for what isn't simple."""
        cdef Seen rows
        cdef Py_ssize_t k, n_layers = self.workspace.plan.n_layers
        if not self.looks_simple(X, loss, &rows):
            return None
        gradients = layer_arrays(&self.workspace.plan, rows.n)
        if not self.is_ready(y, &rows):
            return None
        for k in range(n_layers):
            weight, bias = <tuple>gradients[k]
            self.places[k] = <real*>cnp.PyArray_DATA(weight)
            self.places[n_layers + k] = NULL if bias is None else <real*>cnp.PyArray_DATA(bias)
        if is_short(&self.workspace.plan, 3 * rows.n):
            self.make_gradients(&rows)
        else:
            with nogil:
                self.make_gradients(&rows)
        self.leave()
        return gradients

    cdef void make_gradients(self, const Seen* rows) noexcept nogil:
        cdef SampleGradients job
        cdef int64_t chunk
        cdef Mode caller
        memset(&job, 0, sizeof(job))
        job.plan, job.loss, job.out = &self.workspace.plan, self.targets.loss, self.places
        job.rows.x, job.rows.order = rows.x, NULL
        job.span.first, job.span.last = 0, rows.n
        job.span.size = samples_of_chunk(job.plan, rows.n, 1, 1)
        begin_inference(&self.workspace.plan, rows.n, job.span.size)
        caller = begin_mode()
        job.loss.gradient_scale = rounded(job.loss.gradient_factor)
        for chunk in range(span_chunks(&job, 0)):
            sample_gradients_work(&job, 0, chunk, 0)
        end_mode(caller)

    def hessian_vector_product(self, X, y, loss, v, /):
        """What ``Sequential.hessian_vector_product`` returns; None for what isn't simple."""
        cdef Seen rows
        cdef bint is_fine
        if not self.looks_simple(X, loss, &rows):
            return None
        pairs = read_direction(&self.workspace.plan, v)
        if pairs is None:
            return None
        product = layer_arrays(&self.workspace.plan, 0)
        if not self.is_ready(y, &rows):
            return None
        self.move_pairs(pairs, self.direction.plan.layers.weight, True)
        is_fine = find_nonfinite(self.direction.plan.layers.weight,
                                 self.direction.plan.n_parameters) < 0
        if is_fine:
            if is_short(&self.workspace.plan, 6 * rows.n):
                self.multiply(&rows)
            else:
                with nogil:
                    self.multiply(&rows)
            self.move_pairs(product, &self.out[0], False)
        self.leave()
        return product if is_fine else None

    cdef void move_pairs(self, list pairs, real* buffer, bint is_read):
        """Copy arrays of each layer to a buffer laid out as the parameters, or from there."""
        cdef const Layer* layer
        cdef real* array
        cdef real* place
        cdef Py_ssize_t i, k
        for k in range(self.workspace.plan.n_layers):
            layer = self.workspace.plan.layers + k
            weight, bias = <tuple>pairs[k]
            array = <real*>cnp.PyArray_DATA(weight)
            for i in range(layer.n_in + 1):
                if i == layer.n_in:
                    if bias is None:
                        break
                    array = <real*>cnp.PyArray_DATA(bias) - i * layer.n_out
                place = buffer + layer.offset + i * layer.row
                if is_read:
                    memcpy(place, array + i * layer.n_out, layer.n_out * sizeof(real))
                else:
                    memcpy(array + i * layer.n_out, place, layer.n_out * sizeof(real))

    cdef void multiply(self, const Seen* rows) noexcept nogil:
        cdef Hessian job
        cdef int64_t chunk
        cdef Mode caller
        cdef Py_ssize_t k, capacity = self.targets.capacity
        memset(&job, 0, sizeof(job))
        job.plan, job.r_plan, job.n = &self.workspace.plan, &self.direction.plan, rows.n
        job.loss = self.targets.loss
        job.rows.x, job.rows.order = rows.x, NULL
        job.widest = (self.scratch.shape[0] - self.out.shape[0]) // (2 * capacity)
        job.spare, job.d_a = &self.scratch[0], &self.scratch[0] + capacity * job.widest
        job.out, job.spare_out = &self.out[0], &self.scratch[0] + 2 * capacity * job.widest
        job.span.first, job.span.last = 0, rows.n
        job.span.size = samples_of_chunk(job.plan, rows.n, 1, 1)
        begin_inference(&self.workspace.plan, rows.n, job.span.size)
        begin_inference(&self.direction.plan, rows.n, job.span.size)
        caller = begin_mode()
        scale_gradient(&job.loss, self.targets.total)
        for chunk in range(span_chunks(&job, 0)):
            hessian_rows_work(&job, 0, chunk, 0)
        job.span.last, job.span.size = 0, 1
        for k in range(job.plan.n_layers):
            job.span.last += weight_chunks(&job.plan.layers[k])
        for chunk in range(job.span.last):
            hessian_weights_work(&job, 0, chunk, 0)
        end_mode(caller)
