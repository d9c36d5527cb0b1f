"""A capsule's function, by ctypes, as docs/calling_from_c.md has it."""

import ctypes

POINTER = ctypes.c_size_t
ROW = {
    "float32": "int (float *, float *, void *)",
    "float64": "int (double *, double *, void *)",
}
KINDS = {
    "double (int, double *, void *)": (ctypes.c_double, ctypes.c_int, POINTER, POINTER),
    "int (double *, intptr_t, double *, void *)": (
        ctypes.c_int, POINTER, ctypes.c_ssize_t, POINTER, POINTER,
    ),
    **dict.fromkeys(ROW.values(), (ctypes.c_int, POINTER, POINTER, POINTER)),
}  # fmt: skip


class Net(ctypes.Structure):
    """What the context of a capsule points at, as fastbackprop/__init__.pxd says."""

    _fields_ = [
        ("form", ctypes.c_int64),
        ("real_size", ctypes.c_int64),
        ("n_in", ctypes.c_int64),
        ("n_out", ctypes.c_int64),
        ("predict", ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_int64)),
    ]


def _of_capsule(name, returns, *arguments):
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = returns, [ctypes.py_object, *arguments]
    return function


name_of = _of_capsule("PyCapsule_GetName", ctypes.c_char_p)
pointer_of = _of_capsule("PyCapsule_GetPointer", POINTER, ctypes.c_char_p)
context_of = _of_capsule("PyCapsule_GetContext", POINTER)


def function_of(capsule):
    """The function of a capsule, and its context; whoever calls it keeps the capsule."""
    name = name_of(capsule)
    function = ctypes.CFUNCTYPE(*KINDS[name.decode()])(pointer_of(capsule, name))
    function.capsule = capsule
    return function, context_of(capsule)


def rows_function_of(capsule):
    """The function for any number of rows, and the context that is its first argument."""
    context = context_of(capsule)
    net = Net.from_address(context)
    assert net.form == 1
    predict = net.predict
    predict.capsule = capsule
    return predict, context
