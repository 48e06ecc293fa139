"""Cross-covariance attention, XCA (arXiv 2106.09681, section 3.2), in the paper's form and in Gram form."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..ops.modification import can_bypass, is_unmodified
from ..ops.precision import full_precision, is_half_precision
from ..ops.products import add_affine, affine, as_function, matmul
from ..statistics import BlendedMap, Moments
from ..statistics.image import ImageMoments

FORMS = ('auto', 'gram', 'direct')
SMALL_PRODUCT_COST = 2.0  # time per multiply-add in a C x C product, relative to a product over many tokens
NORM_EPS = 1e-12  # as in F.normalize, so that both forms treat an all-zero channel the same way


class CrossCovarianceAttention(nn.Module):
    """Attention between channels, at a cost linear in the number of tokens.

    In each head, every channel of q and k is scaled to unit L2 norm over the tokens; then the d x d map
    ``softmax(temperature * q k^T)`` mixes the channels of v.

    The *direct* form evaluates this formula. However, q, k and v are linear in x, so the map depends on the tokens only
    through their Gram matrix, and the whole layer applies the same image-dependent affine map to every token. The
    *Gram* form computes this affine map. It makes two passes over the tokens instead of eight and never forms q, k or
    v. Both forms give the same result.

    Args:
        embed_dim: channels C of a token.
        num_heads: heads H; d = C / H.
        form: ``'gram'``, ``'direct'``, or ``'auto'`` for the cheaper one at the given shape.
        attn_drop_rate: dropout rate of the d x d maps in training.

    Shape:
        (B, N, C) -> (B, N, C)

    Raises:
        InputError: the form is unknown.
    """

    def __init__(self, embed_dim: int, num_heads: int, form: str = 'auto', attn_drop_rate: float = 0.0) -> None:
        super().__init__()
        if form not in FORMS:
            raise InputError(f'attention must be one of {", ".join(FORMS)}, but got {form!r}')
        self.embed_dim, self.num_heads, self.form = embed_dim, num_heads, form
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.attn_drop = nn.Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor, moments: Moments | None = None) -> Tensor:
        if moments is None and not self.uses_gram(x.shape[1]):
            return self.direct(x)
        self.require_plain_linears()
        return blend(self.maps(x, moments), x)

    def add_to(self, residual: Tensor, x: Tensor, scale: Tensor, moments: Moments | None = None) -> Tensor:
        """Return ``residual + scale * forward(x, moments)``, computed in fewer passes over the tokens.

        Args:
            residual, x: (B, N, C).
            scale: (B, 1, C).
            moments: empty sums of a statistic; None for sums over the whole image, in either form.

        Returns:
            (B, N, C)
        """
        if is_half_precision(x) or moments is None and not self.uses_gram(x.shape[1]):
            return torch.addcmul(residual, scale, self(x, moments))
        self.require_plain_linears()
        maps = self.maps(x, moments)
        if len(maps) > 1 or maps[0].share is not None or maps[0].positions is not None:
            return torch.addcmul(residual, scale, blend(maps, x))
        weight, bias, *_ = maps[0]
        # Scaling the C x C map is far cheaper than scaling N tokens.
        return add_affine(residual, x, weight * scale, bias * scale)

    def maps(self, x: Tensor, moments: Moments | None) -> Sequence[BlendedMap]:
        """Collect all tokens x (B, N, C) and return the linear maps that attention applies to them."""
        moments = ImageMoments() if moments is None else moments
        moments.collect(x)
        moments.reduce(self.affine_map)
        return moments.maps()

    def uses_gram(self, num_tokens: int) -> bool:
        """Return whether the Gram form is used for images with ``num_tokens`` tokens.

        With C channels and heads of width d, the direct form needs N (4 C^2 + 2 C d) multiply-adds. The Gram form needs
        1.75 N C^2 for the tokens (2 with oneDNN) and 3 C^3 + 2 C^2 d for its C x C matrices. The latter are spread over
        about twenty small operations, which run at half the speed of the large products (docs/benchmarks.md).
        """
        if self.form != 'auto':
            return self.form == 'gram'
        if torch.jit.is_tracing():  # a trace must work for every size, and FLOP counters expect the paper's form
            return False
        if not self.can_use_gram():
            return False
        dim, head_dim = self.embed_dim, self.embed_dim // self.num_heads
        return num_tokens * (2.25 * dim + 2 * head_dim) > SMALL_PRODUCT_COST * dim * (3 * dim + 2 * head_dim)

    def can_use_gram(self) -> bool:
        """Return whether the Gram form computes the same function as this layer and skips no hooks."""
        return all(can_bypass(layer, nn.Linear) and layer.bias is not None for layer in (self.qkv, self.proj))

    def require_plain_linears(self) -> None:
        """Raise ``InputError`` unless the Gram form computes the same function as this layer."""
        if not all(is_unmodified(layer, nn.Linear) and layer.bias is not None for layer in (self.qkv, self.proj)):
            raise InputError("the Gram form of attention needs qkv and proj to be plain linear layers with a bias and "
                             "without hooks or adapters; use attention='auto' or 'direct', and mode whole")

    def direct(self, x: Tensor) -> Tensor:
        """Evaluate the paper's formula: (B, N, C) -> (B, N, C)."""
        batch, num_tokens, embed_dim = x.shape
        # (B, N, 3 C) -> (3, B, H, d, N)
        qkv = as_function(self.qkv)(x).view(batch, num_tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 4, 1)
        query, key = F.normalize(query, dim=-1, eps=NORM_EPS), F.normalize(key, dim=-1, eps=NORM_EPS)
        attention = self.attn_drop((query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1))  # (B, H, d, d)
        # (B, H, d, N) -> (B, N, C)
        mixed = (attention @ value).permute(0, 3, 1, 2).reshape(batch, num_tokens, embed_dim)
        return as_function(self.proj)(mixed)

    def attention_map(self, moment: Tensor) -> Tensor:
        """Return the weight of each channel of v in each output channel, for the given ``second_moment``.

        Args:
            moment: (B, C + 1, C + 1), float32 or float64.

        Returns:
            (B, H, d, d), in the dtype of ``moment``; the last dimension sums to 1.
        """
        return self._attention(self._augmented(moment)[:2 * self.embed_dim], moment)

    def _attention(self, query_key: Tensor, moment: Tensor) -> Tensor:
        with full_precision(moment.device):
            # With q = W x', the products over tokens are q q^T = W (x' x'^T) W^T.
            half_products = matmul(query_key, moment)  # (B, 2 C, C + 1)
            # Rounding can push a vanishing channel's sum of squares below 0.
            norms = (half_products * query_key).sum(dim=-1).clamp_min(NORM_EPS**2).sqrt()  # (B, 2 C)
            query_norm, key_norm = norms.unflatten(1, (2, self.num_heads, -1)).unbind(dim=1)  # (B, H, d) each
            key = query_key.unflatten(0, (2, self.num_heads, -1))[1]  # (H, d, C + 1)
            query = half_products.unflatten(1, (2, self.num_heads, -1))[:, 0]  # (B, H, d, C + 1)
            cosines = query @ key.mT / (query_norm[..., :, None] * key_norm[..., None, :])  # (B, H, d, d)
            cosines = cosines.clamp(-1, 1)  # cancellation can leave a norm that is mostly rounding error
            return (cosines * self.temperature.to(moment.dtype)).softmax(dim=-1)

    def affine_map(self, moment: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map ``x @ weight + bias`` that this layer computes for the given ``second_moment``.

        Args:
            moment: (B, C + 1, C + 1), float32 or float64.

        Returns:
            weight (B, C, C) and bias (B, 1, C), in the dtype of ``moment``.
        """
        query_key, value = self._augmented(moment).split((2 * self.embed_dim, self.embed_dim))
        attention = self.attn_drop(self._attention(query_key, moment))
        with full_precision(moment.device):
            # (B, H, d, d) @ (H, d, C + 1) -> (B, C, C + 1)
            mixed = (attention @ value.unflatten(0, (self.num_heads, -1))).flatten(1, 2)
            affine = matmul(self.proj.weight.to(moment.dtype), mixed).mT  # (B, C + 1, C)
            weight, bias = affine.split((affine.shape[-1], 1), dim=1)
            return weight, bias + self.proj.bias

    def _augmented(self, moment: Tensor) -> Tensor:
        """Return (3 C, C + 1) weights for q, k and v in ``moment``'s dtype; the bias column multiplies a constant 1."""
        return torch.cat((self.qkv.weight, self.qkv.bias[:, None]), dim=1).to(moment.dtype)


def blend(maps: Sequence[BlendedMap], x: Tensor) -> Tensor:
    """Apply a statistic's maps to tokens: (B, N, C) -> (B, N, C)."""
    total: Tensor | None = None
    for weight, bias, share, positions in maps:
        tokens = x if positions is None else x.flatten(0, 1)[None, positions]
        mapped = affine(tokens, weight.to(x.dtype), bias.to(x.dtype))
        mapped = mapped if share is None else mapped * share
        if positions is not None:
            total = x.new_zeros(x.shape) if total is None else total
            total.view(-1, x.shape[2]).index_add_(0, positions, mapped[0].to(x.dtype))
        else:
            total = mapped if total is None else total + mapped
    assert total is not None  # a statistic has at least one map
    return total
