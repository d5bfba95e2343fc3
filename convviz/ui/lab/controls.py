"""The Lab's control panel: view, stack, operation, input and the current layer."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QLabel, QWidget

from convviz.core.window import Axis
from convviz.ui import theme
from convviz.ui.actions import Action
from convviz.ui.lab.input_controls import InputControls
from convviz.ui.lab.layer_controls import LayerControls
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.stack_cards import StackCards
from convviz.ui.widgets.buttons import FlatButton, Segmented
from convviz.ui.widgets.fields import PairSpin, Section
from convviz.ui.widgets.side_panel import SidePanel

VIEWS = ("view_layer", "view_stack", "view_shift", "view_learn")
OPERATIONS = ("conv", "max", "avg")


class Controls(SidePanel):
    """The panel at the left of the Lab."""

    noted = Signal(str)
    """What bounds a parameter that was looked at, where it is seen without scrolling."""

    def __init__(self, model: LabModel, actions: Mapping[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._noted = "kernel_size"
        self.stack = StackCards()
        self.input = InputControls(model, actions)
        self.layer = LayerControls(model)
        self._note_label = QLabel()
        self._note_label.setWordWrap(True)
        self._note_label.setAccessibleName(self.tr("Legal range"))
        theme.mute(self._note_label)
        self.set_parts(
            self._switch(self.tr("VIEW"), actions, VIEWS),
            self._switch(self.tr("OPERATION"), actions, OPERATIONS),
            self.input,
            self.stack,
            self.layer,
            self._note_label,
        )
        self.input.noted.connect(self._say)
        self.layer.noted.connect(self._say)
        model.state_changed.connect(self.show_state)
        model.view_changed.connect(self.show_state)
        model.outputs_changed.connect(self.show_state)
        self.show_state()

    def _switch(self, heading: str, actions: Mapping[str, Action], names: tuple[str, ...]) -> Section:
        section = Section(heading)
        section.add_wide(Segmented([FlatButton.for_action(actions[name], with_text=True) for name in names]))
        return section

    # ---- showing

    @property
    def brush(self) -> float:
        """The number that a stroke paints."""
        return self.input.brush

    def show_state(self) -> None:
        """Show the model's state in every control."""
        self.stack.show_stack(self._model.state.stack, self._model.state.current)
        self.input.show_state()
        self.layer.show_state()
        self._note(self._noted)

    def _field(self, name: str) -> PairSpin:
        return self.input.size_field if name == "size" else self.layer.parameter_field(name)

    def _note(self, name: str) -> None:
        """Say between which numbers a parameter may be, and why it stops there."""
        self._noted = name
        field = self._field(name)
        axis = 1 if field.spin(1).hasFocus() else 0  # the columns while their box has the focus
        limits = self.input.size_range(axis) if name == "size" else self.layer.parameter_range(name, axis)
        along = self._axis_of(name, axis)
        self._note_label.setVisible(limits is not None and along is not None)
        if limits is None or along is None:
            return
        at_least = field.values()[axis] == limits.least and limits.below in {"half_kernel", "fit", "size"}
        values = str(limits.least) if limits.least == limits.most else f"{limits.least}–{limits.most}"
        self._note_label.setText(
            self.tr("{name} {values}: {reason}").format(
                name=field.spin(0).accessibleName().split(",")[0],
                values=values,
                reason=self._reason(limits.below if at_least else limits.above, along),
            )
        )

    def _axis_of(self, name: str, axis: int) -> Axis | None:
        """Return the axis of the window that bounds a parameter: the first layer's for the input's size."""
        stack, current = self._model.state.stack, 0 if name == "size" else self._model.state.current
        if current >= len(stack.shapes) - 1 or len(stack.shapes[current]) != 3:
            return None
        return stack.layers[current].axes(stack.shapes[current])[axis] if stack.is_on(current) else None

    def _say(self, name: str) -> None:
        """Note a parameter's range, and say it where it is seen without scrolling."""
        self._note(name)
        if self._note_label.isVisibleTo(self):
            self.noted.emit(self._note_label.text())

    def _reason(self, bound: str, along: Axis) -> str:
        n, k, d = along.size, along.kernel_size, along.dilation
        padded = f"{n} + 2·{along.pad_before} = {along.padded_size}"
        match bound:
            case "fit":
                return self.tr("d(k − 1) + 1 must fit in n + 2p, {d}·({k} − 1) + 1 ≤ {padded}.").format(
                    d=d, k=k, padded=padded
                )
            case "size":
                return self.tr("the window d(k − 1) + 1 = {span} must fit.").format(span=along.span)
            case "half_kernel":
                return self.tr("pooling allows padding of half the kernel, ⌊{k}/2⌋ = {half}.").format(k=k, half=k // 2)
            case "reflect":
                return self.tr("reflecting repeats the input without its edge, n − 1 = {most}.").format(most=n - 1)
            case "circular":
                return self.tr("going round repeats the input once at most, n = {n}.").format(n=n)
            case "same":
                return self.tr("padding “same” needs stride 1.")
            case "no_dilation":
                return self.tr("average pooling has no dilation.")
            case _:
                return self.tr("what the Lab can show.")

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_note_label"):
            theme.mute(self._note_label)
