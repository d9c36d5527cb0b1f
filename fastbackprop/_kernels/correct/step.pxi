# correct: what changes from step to step, and from layer to layer: rates, and the corrections of
# moments that began at 0: in double, by whoever begins the step.

cdef out_of_line begin_update(
    Update* update, const StateHeader* header,
    const double* rates,                         # IN (RATES,), or NULL: those given
    double total,                                # of the batch's weights
) noexcept nogil:
    """Make the numbers of the next step; the header stays until the step is done."""
    cdef double rate, decay, correction, m, m_next
    cdef double* corrections = update.corrections
    if rates == NULL:
        rates = update.given
    update.take_1, update.take_2 = <real>(1 - update.beta_1), <real>(1 - update.beta_2)
    rate, decay = rates[0], rates[2]
    if update.is_shared:
        decay = decay / total if total > 0 else 0
    update.learning_rate, update.momentum = <real>rate, <real>rates[1]
    update.weight_decay = 0 if update.is_decoupled else <real>decay
    update.shrinking = <real>(rate * decay) if update.is_decoupled else 0
    if update.kind == ADAM_UPDATE or update.kind == NADAM_UPDATE:
        correction = update.beta_2 * header.corrections[1] + (1 - update.beta_2)
        corrections[1] = correction
        update.root_factor = <real>(1 / sqrt(correction))
    if update.kind == ADAM_UPDATE:
        corrections[0] = update.beta_1 * header.corrections[0] + (1 - update.beta_1)
        update.length = <real>(rate / corrections[0])
        if update.bare_epsilon:
            update.length = <real>(rate * sqrt(corrections[1]) / corrections[0])
            update.root_factor = 1
    elif update.kind == NADAM_UPDATE:            # corrections[0] = 1 - the product of its betas
        corrections[2] = update.fading * header.corrections[2] + (1 - update.fading)
        m = update.beta_1 * (0.5 + 0.5 * corrections[2])
        correction = update.fading * corrections[2] + (1 - update.fading)
        m_next = update.beta_1 * (0.5 + 0.5 * correction)
        corrections[0] = m * header.corrections[0] + (1 - m)
        update.length_of_gradient = <real>(rate * (1 - m) / corrections[0])
        update.length = <real>(rate * m_next / (m_next * corrections[0] + (1 - m_next)))
    elif update.kind == RPROP_UPDATE:
        update.is_first = header.corrections[0] == 0
        corrections[0] = 1


cdef void end_update(const Update* update, StateHeader* header) noexcept nogil:
    """The step is done."""
    cdef int i
    header.kind = update.kind
    header.n_steps += 1
    for i in range(CORRECTIONS):
        header.corrections[i] = update.corrections[i]


cdef inline bint is_own(const Layer* layer, const Update* update) noexcept nogil:
    """Whether a layer, or its bias, has a step of its own."""
    return not layer.is_ordinary or update.leaves_biases


cdef void updates_of_layer(
    const Update* update, const Layer* layer,
    Update* own,                                 # OUT (2,): of the weights, of the bias
) noexcept nogil:
    """A layer's learning rate, l1 and decay."""
    cdef int i
    for i in range(2):
        own[i] = update[0]
        own[i].learning_rate *= layer.rate_factor
        own[i].length *= layer.rate_factor
        own[i].length_of_gradient *= layer.rate_factor
        own[i].shrinking *= layer.rate_factor
        if update.leaves_biases and (i == 1 or layer.op != PRODUCT):
            own[i].weight_decay = own[i].shrinking = 0
    own[0].l1 = layer.l1
    own[0].is_plain = update.is_plain and layer.l1 == 0
