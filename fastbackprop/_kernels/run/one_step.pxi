# The four words one by one, for the loop by hand.

cdef enum:                       # what ``correct`` says, if not where a weight isn't finite
    CORRECTED = -1
    UNSURE = -2

cdef void forward_all(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """All rows through all layers; batch norms take the batch's statistics if they shall."""
    cdef Py_ssize_t k
    cdef const Layer* layer
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        if layer.op == BATCH_NORM and layer.of_batch:
            batch_statistics(layer, n, 0, layer.width, True)
        forward_rows(plan, 0, n, k, k + 1)


cdef void backward_all(const Plan* plan, Py_ssize_t n) noexcept nogil:
    """delta of every layer from that of the last, and the sums of batch norms."""
    cdef Py_ssize_t k
    for k in range(plan.n_layers - 1, -1, -1):
        if plan.layers[k].op == BATCH_NORM:
            batch_norm_sums(&plan.layers[k], n, 0, plan.layers[k].width)
        if k > 0:
            backward_rows(plan, 0, n, k - 1, k)


cdef void forward_batch(
    Plan* plan, const real* x, Py_ssize_t n, bint training, int64_t n_forwards,
    const real* weights,                         # of rows; or NULL
) noexcept nogil:
    """predict for one batch; a of all layers, and z of the last, stay."""
    cdef Mode caller = begin_mode()
    fbp_assert(n <= plan.capacity)
    begin_batch(plan, n, training, n_forwards, weights, NULL, 0)
    begin_forward(plan, x, n)
    forward_all(plan, n)
    end_mode(caller)


cdef void backward_batch(
    Plan* plan, const real* d_out, Py_ssize_t n, bint is_d_z,  # IN (n, n_out)
    real* gradients,                             # OUT: laid out as the parameters
) noexcept nogil:
    """Blame for the batch of the last forward; dC/dx stays, too."""
    cdef Py_ssize_t i, k
    cdef const Layer* layer
    cdef const Layer* last = plan.layers + plan.n_layers - 1
    cdef Mode caller = begin_mode()
    fbp_assert(n <= plan.capacity and plan.d_x != NULL)
    for i in range(n):
        memset(last.delta + i * last.row, 0, last.row * sizeof(real))
        memcpy(last.delta + i * last.row, d_out + i * last.n_out, last.n_out * sizeof(real))
    if not is_d_z:
        derive_last(last, 0, n)
    prepare_blame(plan, n, max(n, <Py_ssize_t>1))
    pack_all(plan)
    backward_all(plan, n)
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        gradient_of_rows(layer, n, gradients + layer.offset, 0, layer.n_in)
    backward_to_inputs(plan, 0, n)
    end_mode(caller)


def forward(
    Workspace workspace, const real[:, ::1] X, real[:, ::1] y_hat, real[:, ::1] z,
    bint training=True, int64_t n_forwards=0, const real[::1] weights=None,
):
    """predict for one batch, and keep what backward needs: X must stay as it is.

    In training, batch norms take the statistics of the rows that have a weight, and the running
    ones take part; ``n_forwards`` of the kind before this one say which masks dropout takes.
    """
    cdef Py_ssize_t i, n = X.shape[0]
    cdef const Layer* last = &workspace.plan.layers[workspace.plan.n_layers - 1]
    cdef const real* x = start_of_2d(X)
    cdef const real* row_weights = &weights[0] if weights is not None else NULL
    with nogil:
        forward_batch(&workspace.plan, x, n, training, n_forwards, row_weights)
    for i in range(n):
        memcpy(&y_hat[i, 0], last.a + i * last.row, last.n_out * sizeof(real))
        memcpy(&z[i, 0], last.z + i * last.row, last.n_out * sizeof(real))


def backward(
    Workspace workspace, const real[:, ::1] d_out, bint is_d_z, real[::1] gradients,
    real[:, ::1] d_x,
):
    """Blame for the batch of the workspace's last forward: all gradients, and dC/dx.

    ``d_out`` is dC/dy_hat, or dC/dz of the last layer with ``is_d_z``.
    """
    cdef Py_ssize_t i, n = d_out.shape[0]
    cdef Plan* plan = &workspace.plan
    cdef const Layer* first = plan.layers
    cdef const real* d_y_hat = start_of_2d(d_out)
    fbp_assert(gradients.shape[0] == workspace.network.parameters.shape[0])
    with nogil:
        backward_batch(plan, d_y_hat, n, is_d_z, &gradients[0])
    for i in range(n):
        memcpy(&d_x[i, 0], plan.d_x + i * first.row_in, first.n_in * sizeof(real))


def sum_costs(const real[::1] costs, double total):
    """The total, with these costs added one by one."""
    cdef Mode caller = begin_mode()
    if costs.shape[0] > 0:
        total = sum_of_costs(&costs[0], costs.shape[0], total)
    end_mode(caller)
    return total


def compare(
    LossSpec loss_spec not None, const real[:, ::1] z, const real[:, ::1] a,
    const real[:, ::1] targets, const int64_t[::1] labels, real[:, ::1] delta, Py_ssize_t n_out,
    real[::1] costs, const real[::1] weights=None, const real[::1] shares=None,
):
    """The sum of the costs of a batch, with its gradient in ``delta``; rows padded.

    ``costs`` has room for a vector more than there are rows.
    """
    cdef Loss loss = loss_on(loss_spec, targets, labels, weights, shares)
    cdef double total
    cdef Py_ssize_t n_right = 0
    cdef Batch batch
    cdef Mode caller
    batch.n, batch.n_out, batch.width, batch.row = a.shape[0], n_out, padded(n_out), a.shape[1]
    batch.z, batch.a, batch.delta, batch.costs = &z[0, 0], &a[0, 0], &delta[0, 0], &costs[0]
    fbp_assert(costs.shape[0] >= batch.n + LANES)
    caller = begin_mode()
    scale_gradient(&loss, total_weight(&loss, NULL, 0, batch.n))
    compare_rows(&loss, &batch, NULL, 0, &n_right)
    total = sum_of_costs(batch.costs, batch.n, 0)
    end_mode(caller)
    return total


def correct(
    Network network, real[::1] gradients, UpdateSpec update_spec not None,
    real[::1] state not None, real[::1] snapshot=None, const double[::1] rates=None,
):
    """One update of all parameters, or none; ``rates`` as a row of TrainingWork's.

    Returns CORRECTED, or where the first number would not have been finite, or, without room for a
    ``snapshot`` of parameters and state, UNSURE where that can't be excluded beforehand: then
    nothing has changed.
    """
    cdef const Plan* plan = &network.plan
    cdef Py_ssize_t size = plan.n_parameters, state_size = state.shape[0], wrong = CORRECTED
    cdef Update update = update_on(update_spec, state, size)
    cdef StateHeader* header = header_of(state)
    cdef real* copy = &snapshot[0] if snapshot is not None else NULL
    cdef const double* own_rates = &rates[0] if rates is not None else NULL
    cdef real* w = &network.parameters[0]
    cdef real* g = &gradients[0]
    cdef Mode caller
    fbp_assert(gradients.shape[0] == size)
    fbp_assert(snapshot is None or snapshot.shape[0] >= size + state_size)
    with nogil:
        caller = begin_mode()
        begin_update(&update, header, own_rates, 1)
        if copy != NULL:
            memcpy(copy, w, size * sizeof(real))
            memcpy(copy + size, &state[0], state_size * sizeof(real))
        elif not is_safe(plan, &update, g, state_size - BLOCK):
            wrong = UNSURE
        if wrong == CORRECTED:
            wrong = correct_all(plan, &update, g)
        if wrong == CORRECTED:
            end_update(&update, header)
        elif copy != NULL:
            memcpy(w, copy, size * sizeof(real))
            memcpy(&state[0], copy + size, state_size * sizeof(real))
        end_mode(caller)
    return wrong


cdef Py_ssize_t correct_safely(
    const Plan* plan, UpdateSpec spec, const real* g, real[::1] state,
) noexcept nogil:
    """The same for whom no number can overflow: CORRECTED, or UNSURE and nothing has changed."""
    cdef Update update = update_on(spec, state, plan.n_parameters)
    cdef StateHeader* header = header_of(state)
    cdef Py_ssize_t wrong = UNSURE
    cdef Mode caller = begin_mode()
    begin_update(&update, header, NULL, 1)
    if is_safe(plan, &update, g, state.shape[0] - BLOCK):
        wrong = correct_all(plan, &update, g)
        end_update(&update, header)
    end_mode(caller)
    return wrong


cdef bint is_safe(
    const Plan* plan, const Update* update, const real* g, Py_ssize_t state_size,
) noexcept nogil:
    """Whether the weights and state of all layers stay finite for certain."""
    cdef Update own[2]
    cdef Py_ssize_t k, size = plan.n_parameters
    cdef double w = largest_magnitude(plan.layers[0].weight, size)
    cdef double gradient = largest_magnitude(g, size)
    cdef double planes = largest_magnitude(update.planes, state_size)
    if plan.has_limits:
        return False
    for k in range(plan.n_layers):
        updates_of_layer(update, &plan.layers[k], own)
        if not stays_finite(&own[0], w, gradient, planes):
            return False
    return True


cdef Py_ssize_t correct_all(
    const Plan* plan, const Update* update, const real* g,
) noexcept nogil:
    """Correct all layers; returns where the first number isn't finite, or CORRECTED."""
    cdef const Layer* layer
    cdef Py_ssize_t k, at
    cdef bint is_fine = True
    for k in range(plan.n_layers):
        layer = &plan.layers[k]
        if layer.is_frozen or not has_parameters(layer):
            continue
        if not correct_rows(layer, update, g + layer.offset, 0, rows_of_weights(layer)):
            is_fine = False
        if layer.max_norm != 0 and not limit_columns(layer, 0, layer.width):
            is_fine = False
    if is_fine:
        return CORRECTED
    at = find_nonfinite(plan.layers[0].weight, plan.n_parameters)
    for k in range(update.n_planes):
        if at < 0:
            at = find_nonfinite(update.planes + k * update.plane, plan.n_parameters)
    if at < 0:
        at = find_nonfinite(g, plan.n_parameters)
    return max(at, <Py_ssize_t>0)                # or the norm of a column, which isn't kept


def clip(Network network, real[::1] gradients, double clip_value, double clip_norm,
         real[::1] scratch):
    """Shorten gradients, by hand: clip_value, then clip_norm; 0 stands for any.

    Returns their norm before the latter, or NaN where one isn't finite: then nothing has changed.
    """
    cdef const Plan* plan = &network.plan
    cdef const Layer* layer
    cdef Update update
    cdef Py_ssize_t k, i
    cdef double norm = NAN
    cdef real* g = &gradients[0]
    cdef real* squares = &scratch[0]
    cdef vec x
    cdef Mode caller
    fbp_assert(gradients.shape[0] == plan.n_parameters and scratch.shape[0] >= plan.n_rows)
    update.clip_value = rounded(clip_value)
    with nogil:
        caller = begin_mode()
        for k in range(plan.n_layers):
            layer = &plan.layers[k]
            if has_parameters(layer):
                note_squares(layer, &update, g + layer.offset, 0, rows_of_weights(layer), squares)
        if (find_nonfinite(g, plan.n_parameters) < 0 and
                begin_clipping(plan, &update, clip_norm if clip_norm != 0 else INFINITY, g,
                               squares, plan.n_rows, &norm)):
            for i in range(plan.n_parameters // LANES):
                x = v_mul(clipped(&update, v_load(g + i * LANES)), v_set1(update.clip_scale))
                v_store(g + i * LANES, v_mul(x, v_set1(update.clip_factor)))
        end_mode(caller)
    return norm
