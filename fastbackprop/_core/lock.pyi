from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, final

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

PAUSE: float

@final
class TrainingLock:
    def is_held_by_another(self) -> bool: ...
    def run(self, function: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T: ...
    def write(self, function: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T: ...
    def read(self, function: Callable[[*_Arguments], _T], *arguments: *_Arguments) -> _T: ...
