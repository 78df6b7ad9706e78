"""Mechanisms whose worth is known, as texts: one that helps, one that idles, one that harms."""

_HEAD = '''"""Planted."""

from bilevel.errors import SpaceError
from bilevel.mechanism import Mechanism
from bilevel.trace import Proposal


class Planted(Mechanism):
    """Planted."""

    name = "{name}"

'''
_FIRST = """
    def review(self, view, candidates):
        own = [c for c in candidates if c.origin == self.name]
        return own + [c for c in candidates if c.origin != self.name]
"""

GOOD = (
    _HEAD.format(name="steps_on")
    + '''    def propose(self, view):
        """Goes on from the incumbent: halves or doubles what a kept trial moved, else one knob."""
        config, made = dict(view.base), []
        for parameter in view.space.active:
            value = config[parameter.name]
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                continue
            for factor in (0.5, 2.0, 0.8, 1.25):
                try:
                    changes = view.space.check({parameter.name: type(value)(value * factor)})
                except SpaceError:
                    continue
                after = {**config, **changes}
                if changes[parameter.name] != value and all(t.config != after for t in view.trace):
                    made.append(Proposal(changes, "a step"))
        return [view.rng.choice(made)] if made else []
'''
    + _FIRST
)

IDLE = (
    _HEAD.format(name="tosses")
    + '''    def propose(self, view):
        """Draws all parameters at random, as random search does: it acts, to no benefit."""
        return [Proposal({p.name: p.sample(view.rng) for p in view.space.active}, "drawn")]
'''
)

HARMFUL = (
    _HEAD.format(name="stands_still")
    + '''    def propose(self, view):
        """Tries the baseline's neighbours again and again."""
        parameter = sorted(view.space.active, key=lambda p: p.name)[0]
        return [Proposal({parameter.name: parameter.sample(view.rng)}, "the same knob")]
'''
    + _FIRST
)

REFUSED = "import os\n"
