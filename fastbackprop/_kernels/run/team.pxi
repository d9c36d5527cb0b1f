# Threads that work together on one call: a fixed sequence of phases, each cut into
# chunks.
#
#   a) Whoever is free takes the next chunk of the phase at work; whoever finishes the
#      last one closes the phase (sums, decisions) and opens the next. So nobody waits
#      for a thread that isn't running: a helper that comes late or never, because
#      another process has its core, costs its help and nothing else.
#   b) Which thread did a chunk can't be seen in the result: a chunk's numbers depend on
#      the chunk alone, and what is summed over chunks is summed by who closes the phase.
#   c) Each member has a queue of neighbouring chunks, the same in every step, so that it
#      finds in its own cache what it worked on before; when its queue is empty it
#      helps with the others'.
#   d) Phase and next chunk of a queue are one number, so that both change at once; while
#      a chunk is in hand its phase can't end.
#   e) Who finds no chunk waits for the next phase: spins for some microseconds, then
#      yields, then sleeps. Nobody is there between calls.
#   f) Each thread sets its own mode of arithmetic as it comes, and puts it back as it goes.
#
# Why loads that acquire and stores that release are enough:
#
#   - Who closes a phase sees all of its chunks: each adds to n_done when it is done, by one chain
#     of additions that acquire and release. Who takes a chunk sees all that was done before its
#     phase was opened: the ticket that he replaced was stored behind it.
#   - Only one thread opens at a time, though n_done begins anew and chunks are taken as soon as
#     the first queue is open. For a phase can't end before the last queue is opened, which is
#     opened last and never empty (a phase has at least one chunk, and the last queue the
#     last one): so nobody else opens, and no ticket of an older phase is stored over a newer one.
#   - Until its queue is opened a thread may find a ticket of the phase before, all of whose chunks
#     are taken: so n_chunks of that phase must be what it was, from nothing that is
#     changed in ``close``. The ticket says no, and if it has changed meanwhile, can't be replaced.
#   - After the last phase the leader sees that nobody is at work any more by ``members``, which
#     each helper leaves by an addition that releases, behind all that it did.

cdef enum:
    MOST_QUEUES = 16             # more threads than that share them
    CHUNK_BITS = 32              # of a ticket: the next chunk; above them the phase
    SPINS = 1000                 # tens of microseconds
    YIELDS = 100

cdef int64_t THE_END = 1 << 30   # the phase behind the last
cdef int64_t CLOSED = 1 << 30    # added to members: nobody may join any more

cdef struct Team:
    # What is only read while threads work, and then a cache line between that and what is written.
    int64_t n_queues
    int64_t most                 # helpers
    int64_t spins                # 0 where there are more threads than cores
    void* job
    int64_t (*n_chunks)(void* job, int64_t phase) noexcept nogil     # at least 1
    void (*work)(void* job, int64_t phase, int64_t chunk, int64_t member) noexcept nogil
    int64_t (*close)(void* job, int64_t phase) noexcept nogil        # returns the next phase
    int64_t apart[8]
    # Each number on a cache line of its own.
    int64_t tickets[MOST_QUEUES][8]
    int64_t n_done[8]            # chunks of this phase
    int64_t members[8]           # helpers at work, without the leader
    int64_t numbers[8]           # helpers that ever joined: the next gets this number + 1


cdef void wait_for_others(const Team* team, Py_ssize_t times) noexcept nogil:
    """Called again and again, with the number of times before."""
    if times < team.spins:
        pause()
    elif times < team.spins + YIELDS:
        yield_core()
    else:
        sleep_briefly()


cdef void open_phase(Team* team, int64_t before, int64_t phase) noexcept nogil:
    """Open all queues, the last one last, when each of them has the phase ``before``."""
    cdef int64_t queue
    if IS_DEBUG and phase != THE_END:
        fbp_assert(team.n_chunks(team.job, phase) >= 1)
    for queue in range(team.n_queues):           # nobody else opens meanwhile: see above
        fbp_assert(atomic_load(team.tickets[queue]) >> CHUNK_BITS == before)
        atomic_store(team.tickets[queue], phase << CHUNK_BITS)


cdef int64_t take_chunk(Team* team, int64_t queue, int64_t* chunk,
                        int64_t* n_chunks) noexcept nogil:
    """Returns the phase at work; ``chunk`` is the caller's, or -1 if this queue has none left."""
    cdef int64_t ticket = atomic_load(team.tickets[queue])
    cdef int64_t phase = ticket >> CHUNK_BITS
    cdef int64_t first
    chunk[0] = -1
    if phase == THE_END:
        return phase
    n_chunks[0] = team.n_chunks(team.job, phase)
    first = queue * n_chunks[0] // team.n_queues
    ticket -= phase << CHUNK_BITS
    if first + ticket < (queue + 1) * n_chunks[0] // team.n_queues:
        if atomic_replace(team.tickets[queue], (phase << CHUNK_BITS) + ticket,
                          (phase << CHUNK_BITS) + ticket + 1):
            chunk[0] = first + ticket
    return phase


cdef void take_part(Team* team, int64_t member) noexcept nogil:
    """Work until the last phase is over."""
    cdef int64_t phase, chunk, n_chunks = 0, queue = 0
    cdef Py_ssize_t times = 0
    while True:
        phase = take_chunk(team, (member + queue) % team.n_queues, &chunk, &n_chunks)
        if phase == THE_END:
            return
        if chunk >= 0:
            team.work(team.job, phase, chunk, member)
            times = queue = 0
            if atomic_add(team.n_done, 1) == n_chunks:
                atomic_store(team.n_done, 0)
                open_phase(team, phase, team.close(team.job, phase))
        else:
            queue += 1
            if queue == team.n_queues:
                queue = 0
                wait_for_others(team, times)
                times += 1


cdef void open_team(Team* team, int n_threads, bint crowded) noexcept nogil:
    """Let helpers join: before any is called."""
    team.n_queues = min(n_threads, <int>MOST_QUEUES)
    memset(team.tickets, 0, sizeof(team.tickets))     # phase 0, whose first chunk is 0
    team.n_done[0] = team.members[0] = team.numbers[0] = 0
    team.most = n_threads - 1
    team.spins = 0 if crowded else SPINS


cdef void lead(Team* team) noexcept nogil:
    """Take part; return when everybody has left."""
    cdef Py_ssize_t times = 0
    cdef Mode caller = begin_mode()
    take_part(team, 0)
    end_mode(caller)
    atomic_add(&team.members[0], CLOSED)
    while atomic_load(&team.members[0]) != CLOSED:
        wait_for_others(team, times)
        times += 1


cdef void help_out(Team* team) noexcept nogil:
    """Join, unless it is too late or there are enough."""
    cdef int64_t members
    cdef Mode caller
    while True:
        members = atomic_load(&team.members[0])
        if members >= team.most:                 # CLOSED is more than any number of helpers
            return
        if atomic_replace(&team.members[0], members, members + 1):
            break
    # Members leave only when the work is over, so numbers stay below the most.
    caller = begin_mode()
    take_part(team, atomic_add(&team.numbers[0], 1))
    end_mode(caller)
    atomic_add(&team.members[0], -1)
