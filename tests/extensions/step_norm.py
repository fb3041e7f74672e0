"""Numbers of a stranger in the records of a training: how far the states moved."""

from phi_sip import hookimpl
from phi_sip.states import trees


@hookimpl
def sip_record(update):
    dx = trees.subtract(update.x_target, update.x)
    return {"step_norm": float((2 * trees.l2_loss(dx)).mean) ** 0.5}
