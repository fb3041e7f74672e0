"""
A weight update of a stranger: half-inverse gradients, θ ← θ − η V S^(−β) Uᵀ (y − y*) with the Jacobian ∂y/∂θ = U S Vᵀ.

Source: Schnell, Holl, Thuerey, "Half-Inverse Gradients for Physical Deep Learning", ICLR 2022 (arXiv 2203.10131).
"""

import torch

from phi_sip import SipUpdate, hookimpl
from phi_sip.states import trees
from phi_sip.step.transaction import make_update


class HalfInverse(torch.optim.SGD):
    """Gradient descent along half-inverse gradients."""

    def __init__(self, parameters, lr=1.0, truncation=1e-6, power=0.5):
        super().__init__(parameters, lr=lr)
        self.truncation, self.power = truncation, power


def half_inverse_gradient(part):
    optimizer, weights = part.trainable.optimizer, part.trainable.weights
    y_target = part.observation()
    x = part.prediction(y_target)()
    part.check_prediction(x)
    y = part.request.physics.forward(x)
    simulated, target = (trees.natives(state, like=y_target)[0].reshape(-1) for state in (y, y_target))
    rows = torch.autograd.grad(simulated, weights, torch.eye(len(simulated)).to(simulated), is_grads_batched=True)
    jacobian = torch.cat([row.reshape(len(simulated), -1) for row in rows], 1)
    u, s, vt = torch.linalg.svd(jacobian, full_matrices=False)
    scale = torch.where(s > optimizer.truncation * s[0], s.clamp(min=1e-30) ** -optimizer.power, 0 * s)
    change = vt.T @ (scale * (u.T @ (simulated.detach() - target).to(u))) * part.share
    parts = change.split([weight.numel() for weight in weights])
    part.trainable.add_gradients([p.view_as(weight) for p, weight in zip(parts, weights, strict=True)])
    x, y = trees.stop_gradient(x), trees.stop_gradient(y)
    y_l2 = trees.l2_loss(trees.subtract(y, y_target))
    return SipUpdate(y_l2, x, y, x, y_l2), None


@hookimpl
def sip_update_weights(trainable, request):
    if isinstance(trainable.optimizer, HalfInverse):
        return make_update(trainable, request, half_inverse_gradient)
    return None
