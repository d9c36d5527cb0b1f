# Calls of one phase: a range of independent things (rows, rows of weights), cut into chunks.

cdef struct Span:                # the first member of each job that has one phase
    Py_ssize_t first
    Py_ssize_t last
    Py_ssize_t size              # of a chunk


cdef int64_t span_chunks(void* job, int64_t phase) noexcept nogil:
    cdef const Span* span = <Span*>job
    return pieces(span.last - span.first, span.size)


cdef inline void chunk_of_span(
    const Span* span, int64_t chunk,
    Py_ssize_t* first, Py_ssize_t* last,         # OUT
) noexcept nogil:
    first[0] = span.first + chunk * span.size
    last[0] = min(first[0] + span.size, span.last)


cdef int64_t span_close(void* job, int64_t phase) noexcept nogil:
    return THE_END


cdef class SpanWork(Work):
    """A call with one phase."""

    cdef Span* span

    cdef open(
        self, Span* span, Py_ssize_t first, Py_ssize_t last, Py_ssize_t size,
        void (*work)(void* job, int64_t phase, int64_t chunk, int64_t member) noexcept nogil,
        int n_threads, bint crowded,
    ):
        """Share out [first, last) in chunks of ``size``; the job begins with its span."""
        self.span = span
        span.first, span.last, span.size = first, last, size
        self.team.job = span
        self.team.n_chunks, self.team.work, self.team.close = span_chunks, work, span_close
        open_team(&self.team, n_threads, crowded)

    def run(self, call=None):
        """Do it; ``call`` as in TrainingWork."""
        if self.span.first < self.span.last:
            self.share(call)
