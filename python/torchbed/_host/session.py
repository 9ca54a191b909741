"""One workload and its models: spec worker-protocol#methods, answered by hooks#the-hooks.

Knows nothing of embedding, transport or processes. One thread only.
"""

from collections.abc import Awaitable, Callable, Collection
from types import NoneType
from typing import Any, ClassVar

from .artifact_files import read_artifact, write_artifact
from .batches import BatchResult, failures_of
from .callable_hooks import is_callable_hook
from .failures import CallFailed, Failure, failure_of, guarded, quoted, refused
from .hook_values import Outputs, Place, with_inputs
from .memory_artifacts import (
    PlannedArtifact,
    artifact_bytes,
    artifact_ways,
    load_from_memory,
    plan_artifact,
)
from .metrics import plain_metrics
from .params import Params
from .returned import plain_capability, plain_device, plain_patch_outcome, wrong
from .state_marks import changed, state_marks
from .streams import Stream

PROTOCOL_VERSION = 1
CAPABILITIES: tuple[str, ...] = ()

_OK = {"ok": True}

_NOT_AWAITABLE = frozenset((dict, NoneType, str, bytes))


def _as_it_is(returned: Any, hook: str) -> object:
    return returned


class Session:
    """Calls hooks by method name, and keeps the states behind model ids `m1`, `m2`, …"""

    def __init__(
        self,
        workload: object,
        await_result: Callable[[Awaitable[object]], object],
        on_models_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """await_result: runs an awaitable that a hook returned to its end.

        on_models_changed: is called when models came or went.
        """
        self._workload = workload
        self._await_result = await_result
        self._on_models_changed = on_models_changed
        self._models: dict[str, object] = {}
        self._planned: dict[str, PlannedArtifact] = {}
        self._results: dict[str, Outputs] = {}
        self._streams: dict[str, Stream] = {}
        self._created = 0
        self.made: list[int] = []
        """Numbers of what the running call has made, for undo()."""
        self.workload_name = _workload_name(workload)

    def call(self, method: str, params: object) -> object:
        """Answer one method. Raises CallFailed, or Cancelled when that arrives outside a hook."""
        answer = self._METHODS.get(method)
        if answer is None:
            raise refused("ERR_UNKNOWN_METHOD", f"unknown method {method!r}", "ValueError")
        return answer(self, Params(method, params))

    @property
    def model_count(self) -> int:
        """How many models there are."""
        return len(self._models)

    def begin(self) -> None:
        """Note from now on what a call makes."""
        self.made = []

    def undo(self) -> None:
        """Drop what the call made, for when its answer does not reach anyone."""
        for number in self.made:
            self.release(number)

    def release(self, number: int) -> None:
        """Drop model, result or stream `m<number>`; an unknown one is ignored."""
        self._drop(f"m{number}")

    def close(self) -> None:
        """End all streams and drop all models."""
        for stream_id in list(self._streams):
            self._streams.pop(stream_id).abandon()
        self._models.clear()
        self._planned.clear()
        self._results.clear()
        self._on_models_changed()

    # --- methods ------------------------------------------------------------------------------

    def _hello(self, params: Params) -> object:
        return {
            "protocol_version": PROTOCOL_VERSION,
            "workload_name": self.workload_name,
            "capabilities": list(CAPABILITIES),
        }

    def _capability_probe(self, params: Params) -> object:
        return {
            "runtime_device": self._hook("runtime_device", convert=plain_device),
            "capability": self._hook("capability_probe", convert=plain_capability),
        }

    def _init_model(self, params: Params) -> object:
        state = self._hook("init_model", params.text("device"))
        if state is None:
            raise wrong("init_model", "the new state", None)
        return {"model_id": self._keep(state)}

    def _train_window(self, params: Params) -> object:
        state = self._model(params, "model_id")
        batches = params.items("batches")
        before = state_marks(state)
        try:
            return {"metrics": self._hook("train_window", state, batches, convert=plain_metrics)}
        except CallFailed as error:
            difference = changed(before, state_marks(state))
            if difference is not None:
                error.failure["state_changed"] = difference
            raise

    def _evaluate(self, params: Params) -> object:
        state = self._model(params, "model_id")
        split = params.value("split")
        return {"metrics": self._hook("evaluate", state, split, convert=plain_metrics)}

    def _apply_patch(self, params: Params) -> object:
        if self._find("apply_patch") is None:
            return {"Rejected": "python workload does not support runtime patches"}
        return self._hook("apply_patch", params.whole(), convert=plain_patch_outcome)

    def _load_model_artifact(self, params: Params) -> object:
        state = self._model(params, "model_id")
        path = params.text("artifact_path")
        if self._find("load_model_artifact_path") is not None:
            replacement = self._hook("load_model_artifact_path", state, path)
        else:
            if self._find("load_model_tensors") is None:
                self._require_one("load_model_artifact_path", "load_model_artifact")
            data = guarded("ERR_HOOK_RAISED", lambda: read_artifact(path))
            replacement = load_from_memory(self._find, self._hook, state, data)
        self._replace(params.text("model_id"), replacement)
        return _OK

    def _materialize_model_artifact(self, params: Params) -> object:
        state = self._model(params, "model_id")
        path = params.text("artifact_path")
        # One that was planned for memory and turned out too long for it.
        self._planned.pop(params.text("model_id"), None)
        if self._find("materialize_model_artifact_path") is not None:
            self._hook("materialize_model_artifact_path", state, path)
            return _OK
        if self._find("model_tensors") is None:
            self._require_one("materialize_model_artifact_path", "materialize_model_artifact")
        data = artifact_bytes(self._find, self._hook, state)
        guarded("ERR_HOOK_RAISED", lambda: write_artifact(path, data))
        return _OK

    # Beside the protocol: artifacts in lent memory, for hosts in the same process.

    def _artifact_ways(self, params: Params) -> object:
        return artifact_ways(self._find)

    def _load_model_memory(self, params: Params) -> object:
        state = self._model(params, "model_id")
        if self._find("load_model_tensors") is None:
            self._require_one("load_model_tensors", "load_model_artifact")
        memory = params.value("artifact")
        replacement = load_from_memory(self._find, self._hook, state, memory)
        self._replace(params.text("model_id"), replacement)
        return _OK

    def _plan_model_memory(self, params: Params) -> object:
        state = self._model(params, "model_id")
        if self._find("model_tensors") is None:
            self._require_one("model_tensors", "materialize_model_artifact")
        planned = plan_artifact(self._find, self._hook, state)
        self._planned[params.text("model_id")] = planned
        return {"total_bytes": planned.total_bytes}

    def _fill_model_memory(self, params: Params) -> object:
        self._model(params, "model_id")
        planned = self._planned.pop(params.text("model_id"), None)
        if planned is None:
            raise refused("ERR_PROTOCOL", "fill_model_memory needs plan_model_memory before it")
        memory = params.value("artifact")
        guarded("ERR_HOOK_RAISED", lambda: planned.write(memory))
        return _OK

    # Beside the protocol: what a peer keeps of its training for itself.

    def _save_training_state(self, params: Params) -> object:
        state = self._model(params, "model_id")
        self._hook("save_training_state", state, params.text("path"))
        return _OK

    def _load_training_state(self, params: Params) -> object:
        state = self._model(params, "model_id")
        replacement = self._hook("load_training_state", state, params.text("path"))
        self._replace(params.text("model_id"), replacement)
        return _OK

    # Beside the protocol: hooks of the workload's own.

    def _call_hook(self, params: Params) -> object:
        hook, arguments, places = self._hook_call(params)
        as_text = params.has("as_text")
        size = params.integer("batch") if params.has("batch") else 0
        failed: list[tuple[int, Failure]] = []

        def outputs_of(returned: object, _: str) -> Outputs:
            if size and isinstance(returned, BatchResult):
                failed.extend(failures_of(returned, size))
                returned = returned.output
            return Outputs(returned, as_text, places)

        outputs = self._hook(hook, *arguments, convert=outputs_of)
        assert isinstance(outputs, Outputs)
        answer: dict[str, object] = {"output": outputs.value}
        if outputs.places:
            answer["places"] = outputs.places
        if failed:
            answer["failed"] = [list(item) for item in failed]
        if outputs.is_waiting:
            answer["result_id"] = self._keep_result(outputs)
        return answer

    def _hook_call(
        self, params: Params, owns_tensors: bool = False
    ) -> tuple[str, list[object], list[Place]]:
        """Return a hook of the workload's own, its arguments, and the places of its tensors."""
        hook = params.text("hook")
        self._require_callable(hook)
        arguments = [self._model(params, "model_id")] if params.has("model_id") else []
        places = params.items("places") if params.has("places") else []
        if params.has("input"):
            value = params.value("input")
            arguments.append(guarded("ERR_VALUE", lambda: with_inputs(value, places, owns_tensors)))
        return hook, arguments, places

    def _keep_result(self, outputs: Outputs) -> str:
        result_id = self._new_id()
        self._results[result_id] = outputs
        return result_id

    def _fill_result(self, params: Params) -> object:
        outputs = self._results.pop(params.text("result_id"), None)
        if outputs is None:
            raise refused("ERR_PROTOCOL", "fill_result needs a result that waits for it")
        memories = params.items("memories")
        guarded("ERR_HOOK_RAISED", lambda: outputs.fill(memories))
        return _OK

    def _open_stream(self, params: Params) -> object:
        # The generator runs when the memory of its input is JavaScript's again.
        hook, arguments, _ = self._hook_call(params, owns_tensors=True)
        as_text = params.has("as_text")
        stream = self._hook(
            hook,
            *arguments,
            convert=lambda returned, _: Stream(hook, returned, self._await_result, as_text),
        )
        assert isinstance(stream, Stream)
        stream_id = self._new_id()
        self._streams[stream_id] = stream
        return {"stream_id": stream_id, **self._take_items(stream_id, params)}

    def _next_items(self, params: Params) -> object:
        stream_id = params.text("stream_id")
        if stream_id not in self._streams:
            raise refused("ERR_PROTOCOL", f"{quoted(stream_id)} is not an open stream")
        return self._take_items(stream_id, params)

    def _take_items(self, stream_id: str, params: Params) -> dict[str, object]:
        stream = self._streams[stream_id]
        most = params.integer("most")
        has_failed = True
        try:
            answer, waiting = stream.take(most)
            has_failed = False
        finally:
            if has_failed:
                del self._streams[stream_id]
                stream.abandon()
        if waiting is not None:
            answer["result_id"] = self._keep_result(waiting)
        if stream.is_done:
            self._streams.pop(stream_id, None)
        return answer

    def _close_stream(self, params: Params) -> object:
        stream = self._streams.pop(params.text("stream_id"), None)
        if stream is not None:
            guarded("ERR_HOOK_RAISED", stream.close)
        return _OK

    def _merge_candidate_models(self, params: Params) -> object:
        base = self._model(params, "base_model_id")
        candidates = [
            self._candidate(Params("merge_candidate_models candidates", candidate))
            for candidate in params.items("candidates")
        ]
        merged = self._hook("merge_candidate_models", base, candidates, params.value("policy"))
        return {"model_id": None if merged is None else self._keep(merged)}

    def _candidate(self, params: Params) -> dict[str, Any]:
        return {
            "peer_id": params.text("peer_id"),
            "head_id": params.text("head_id"),
            "artifact_id": params.text("artifact_id"),
            "model": self._model(params, "model_id"),
            "sample_weight": params.value("sample_weight"),
            "quality_weight": params.value("quality_weight"),
        }

    def _apply_single_root_ema(self, params: Params) -> object:
        base = self._model(params, "base_model_id")
        merged = self._model(params, "merged_model_id")
        replacement = self._hook("apply_single_root_ema", base, merged, params.value("policy"))
        return {"model_id": self._replace(params.text("merged_model_id"), replacement)}

    def _reconcile_canonical_model(self, params: Params) -> object:
        local = self._model(params, "local_model_id")
        canonical = self._model(params, "canonical_model_id")
        replacement = self._hook(
            "reconcile_canonical_model", local, canonical, params.value("strategy")
        )
        return {"model_id": self._replace(params.text("canonical_model_id"), replacement)}

    def _release_model(self, params: Params) -> object:
        self._drop(params.text("model_id"))
        return _OK

    def _shutdown(self, params: Params) -> object:
        self.close()
        return _OK

    # The names that a caller may use. Never getattr: names come from outside.
    _METHODS: ClassVar[dict[str, Callable[["Session", Params], object]]] = {
        "hello": _hello,
        "capability_probe": _capability_probe,
        "init_model": _init_model,
        "train_window": _train_window,
        "evaluate": _evaluate,
        "apply_patch": _apply_patch,
        "load_model_artifact": _load_model_artifact,
        "materialize_model_artifact": _materialize_model_artifact,
        "artifact_ways": _artifact_ways,
        "load_model_memory": _load_model_memory,
        "plan_model_memory": _plan_model_memory,
        "fill_model_memory": _fill_model_memory,
        "save_training_state": _save_training_state,
        "load_training_state": _load_training_state,
        "call_hook": _call_hook,
        "fill_result": _fill_result,
        "open_stream": _open_stream,
        "next_items": _next_items,
        "close_stream": _close_stream,
        "merge_candidate_models": _merge_candidate_models,
        "apply_single_root_ema": _apply_single_root_ema,
        "reconcile_canonical_model": _reconcile_canonical_model,
        "release_model": _release_model,
        "shutdown": _shutdown,
    }

    # --- models -------------------------------------------------------------------------------

    def _keep(self, state: object) -> str:
        model_id = self._new_id()
        self._models[model_id] = state
        self._on_models_changed()
        return model_id

    def _new_id(self) -> str:
        self._created += 1
        self.made.append(self._created)
        return f"m{self._created}"

    def _model(self, params: Params, name: str) -> object:
        model_id = params.text(name)
        if model_id in self._models:
            return self._models[model_id]
        raise refused(
            "ERR_UNKNOWN_MODEL",
            f"{name} {quoted(model_id)} is not a model of this workload; "
            "it was released, or belongs to another session",
            "KeyError",
        )

    def _drop(self, model_id: str) -> None:
        self._models.pop(model_id, None)
        self._planned.pop(model_id, None)
        self._results.pop(model_id, None)
        if model_id in self._streams:
            self._streams.pop(model_id).abandon()
        self._on_models_changed()

    def _replace(self, model_id: str, replacement: object) -> str:
        if replacement is not None:
            self._models[model_id] = replacement
        return model_id

    # --- hooks --------------------------------------------------------------------------------

    def _find(self, name: str) -> Callable[..., object] | None:
        try:
            hook = getattr(self._workload, name, None)
        except BaseException as error:
            failed = failure_of(error, "ERR_HOOK_RAISED")
        else:
            return hook if callable(hook) else None
        raise failed

    def _require_callable(self, name: str) -> None:
        """Refuse what the workload neither lists nor decorates: names come from outside."""
        listed = guarded("ERR_HOOK_RAISED", lambda: getattr(self._workload, "callable_hooks", ()))
        if isinstance(listed, str) or not isinstance(listed, Collection):
            raise wrong("callable_hooks", "a set of str", listed)
        if name in listed or is_callable_hook(getattr(type(self._workload), name, None)):
            return
        known = ", ".join(sorted(str(entry) for entry in listed)) or "none"
        raise refused(
            "ERR_HOOK_MISSING",
            f"python workload {self.workload_name} does not offer {quoted(name)} to callers; add "
            f"it to callable_hooks (now: {known}), or decorate it with torchbed.callable_hook",
            "AttributeError",
        )

    def _require_one(self, preferred: str, fallback: str) -> None:
        if self._find(fallback) is None:
            raise self._missing(f"neither {preferred} nor {fallback}", preferred)

    def _missing(self, what: str, remedy: str) -> CallFailed:
        return refused(
            "ERR_HOOK_MISSING",
            f"python workload {self.workload_name} has {what}; define {remedy} on it",
            "AttributeError",
        )

    def _hook(
        self, name: str, *args: object, convert: Callable[[Any, str], object] = _as_it_is
    ) -> object:
        """Call a hook, await what it returned if need be, and convert that.

        Conversion is guarded too: it runs methods of whatever object the hook returned.
        """
        hook = self._find(name)
        if hook is None:
            raise self._missing(f"no hook {name}", name)
        try:
            returned = hook(*args)
            # Most return a plain value, and asking an abstract class costs more than the call.
            if type(returned) not in _NOT_AWAITABLE and isinstance(returned, Awaitable):
                returned = self._await_result(returned)
            return convert(returned, name)
        except BaseException as error:
            failed = failure_of(error, "ERR_HOOK_RAISED")
        raise failed


def _workload_name(workload: object) -> str:
    name = guarded("ERR_WORKLOAD_IMPORT", lambda: getattr(workload, "workload_name", None))
    if name is None:
        return type(workload).__name__
    if isinstance(name, str):
        return str.__str__(name)
    raise refused("ERR_PROTOCOL", f"workload_name must be a str, got {quoted(name)}")
