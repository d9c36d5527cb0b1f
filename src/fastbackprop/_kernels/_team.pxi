# Threads that work together on one call: a fixed sequence of phases, each cut into
# chunks.
#
#   a) Whoever is free takes the next chunk of the phase at work; whoever finishes the
#      last one closes the phase (sums, decisions) and opens the next. So nobody waits
#      for a thread that isn't running: a helper that comes late or never, because
#      another process has its core, costs its help and nothing else.
#   b) Which thread did a chunk can't be seen in the result: a chunk's numbers depend on
#      the chunk alone, and what is summed over chunks is summed by who closes the phase.
#   c) Phase and next chunk are one number, so that both change at once; while a chunk
#      is in hand its phase can't end.
#   d) Who finds no chunk waits for the next phase: spins for some microseconds, then
#      yields, then sleeps. Nobody is there between calls.

cdef extern from "_atomics.h" nogil:
    int64_t atomic_load "fbp_load"(int64_t* p) noexcept
    void atomic_store "fbp_store"(int64_t* p, int64_t x) noexcept
    int64_t atomic_add "fbp_add"(int64_t* p, int64_t x) noexcept     # returns the sum
    bint atomic_replace "fbp_replace"(int64_t* p, int64_t old, int64_t x) noexcept
    void pause "fbp_pause"() noexcept
    void yield_core "fbp_yield"() noexcept
    void sleep_briefly "fbp_sleep"() noexcept

cdef enum:
    CHUNK_BITS = 24              # of a ticket: the next chunk; above them the phase
    SPINS = 1000                 # tens of microseconds
    YIELDS = 100

cdef int64_t THE_END = 1 << 30   # the phase behind the last
cdef int64_t CLOSED = 1 << 30    # added to members: nobody may join any more

cdef struct Team:
    int64_t ticket[8]            # each on a cache line of its own
    int64_t n_done[8]            # chunks of this phase
    int64_t members[8]           # helpers at work, without the leader
    int64_t numbers[8]           # helpers that ever joined: the next gets this number + 1
    int64_t most                 # helpers
    int spins                    # 0 where there are more threads than cores
    void* job
    int64_t (*n_chunks)(void* job, int64_t phase) noexcept nogil     # at least 1
    void (*work)(void* job, int64_t phase, int64_t chunk, int64_t member) noexcept nogil
    int64_t (*close)(void* job, int64_t phase) noexcept nogil        # returns the next phase


cdef void wait_for_others(const Team* team, Py_ssize_t times) noexcept nogil:
    """Called again and again, with the number of times before."""
    if times < team.spins:
        pause()
    elif times < team.spins + YIELDS:
        yield_core()
    else:
        sleep_briefly()


cdef void take_part(Team* team, int64_t member) noexcept nogil:
    """Work until the last phase is over."""
    cdef int64_t ticket, phase, n_chunks
    cdef Py_ssize_t times = 0
    while True:
        ticket = atomic_load(&team.ticket[0])
        phase = ticket >> CHUNK_BITS
        if phase == THE_END:
            return
        n_chunks = team.n_chunks(team.job, phase)
        if ticket - (phase << CHUNK_BITS) >= n_chunks:
            wait_for_others(team, times)
            times += 1
        elif atomic_replace(&team.ticket[0], ticket, ticket + 1):
            team.work(team.job, phase, ticket - (phase << CHUNK_BITS), member)
            if atomic_add(&team.n_done[0], 1) == n_chunks:
                atomic_store(&team.n_done[0], 0)
                atomic_store(&team.ticket[0], team.close(team.job, phase) << CHUNK_BITS)
            times = 0


cdef void open_team(Team* team, int n_threads, bint crowded) noexcept nogil:
    """Let helpers join: before any is called."""
    team.ticket[0] = team.n_done[0] = team.members[0] = team.numbers[0] = 0
    team.most = n_threads - 1
    team.spins = 0 if crowded else SPINS


cdef void lead(Team* team) noexcept nogil:
    """Take part; return when everybody has left."""
    cdef Py_ssize_t times = 0
    take_part(team, 0)
    atomic_add(&team.members[0], CLOSED)
    while atomic_load(&team.members[0]) != CLOSED:
        wait_for_others(team, times)
        times += 1


cdef void help_out(Team* team) noexcept nogil:
    """Join, unless it is too late or there are enough."""
    cdef int64_t members
    while True:
        members = atomic_load(&team.members[0])
        if members >= team.most:                 # CLOSED is more than any number of helpers
            return
        if atomic_replace(&team.members[0], members, members + 1):
            break
    # Members leave only when the work is over, so numbers stay below the most.
    take_part(team, atomic_add(&team.numbers[0], 1))
    atomic_add(&team.members[0], -1)
