"""The RQ-Transformer, forward pass only (arXiv:2410.00037 section 3.4).

At every step the temporal transformer reads one column of the token table, one token per stream, and gives a vector
h. The text logits are linear in h. The depth transformer then runs along the codebooks of one frame: its input at
codebook c is a projection of h plus the embedding of the token before (text, then codebook c - 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.attention import causal_attention
from duplex_model.config import NO_INPUT, DepthConfig, LMConfig, Norm
from duplex_model.streaming import StreamingModule, StreamingState
from duplex_model.transformer import GatedFeedForward, RMSNorm, Transformer, make_norm

DESCRIPTIONS = ("very_bad", "bad", "neutral", "good", "very_good")
"""Values of Hibiki's condition: how alike source and target voice are in a training example."""


class TokenEmbedding(nn.Module):
    """A table of vectors, exactly zero for `NO_INPUT`; with a rank, factorised into a narrow table and a linear."""

    def __init__(self, rows: int, width: int, rank: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, rank or width))
        self.low_rank = nn.Linear(rank, width, bias=False) if rank else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [...] -> [..., D]."""
        rows = F.embedding(tokens.clamp(min=0), self.weight)
        y: Tensor = self.low_rank(rows.masked_fill((tokens == NO_INPUT)[..., None], 0))
        return y


class DescriptionCondition(nn.Module):
    """The vector added to every input for one of `DESCRIPTIONS`; kept in float32."""

    ROWS = 32  # of which five are used, and the last is padding
    WIDTH = 16

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(self.ROWS, self.WIDTH)
        self.output_proj = nn.Linear(self.WIDTH, width, bias=False)
        self.learnt_padding = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, description: str | None) -> Tensor:
        """[1, 1, D]; None gives the vector learnt for an absent description."""
        if description is None:
            return self.learnt_padding
        index = torch.tensor([[DESCRIPTIONS.index(description)]], device=self.learnt_padding.device)
        y: Tensor = self.output_proj(self.embed(index))
        return y


@dataclass(frozen=True)
class CodebookSpan:
    """Consecutive codebooks that share a weight set, so that one product serves them all."""

    weight_set: int
    codebooks: slice


def codebook_spans(schedule: Iterable[int]) -> Iterator[CodebookSpan]:
    """`DepthConfig.schedule` as its runs of equal weight sets, in order."""
    first = 0
    for weight_set, run in groupby(schedule):
        last = first + len(list(run))
        yield CodebookSpan(weight_set, slice(first, last))
        first = last


def _by_weight_set(modules: nn.ModuleList, x: Tensor, spans: Sequence[CodebookSpan]) -> Tensor:
    """[K, N, D] -> [K, N, E], each codebook by the module of its weight set."""
    return torch.cat([modules[span.weight_set](x[span.codebooks]) for span in spans])


class DepthAttention(nn.Module):
    """Causal attention along the codebooks of a frame, without positions, weights chosen by codebook."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.heads = config.heads
        width, sets = config.width, config.weight_sets
        self.in_proj = nn.ModuleList(nn.Linear(width, 3 * width, bias=False) for _ in range(sets))
        self.out_proj = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(sets))

    def forward(self, x: Tensor, codebook: int, weight_set: int, keys: Tensor, values: Tensor) -> Tensor:
        """[N, D] -> [N, D]; `keys` and `values` [N, H, K, d] get row `codebook`."""
        heads = self.in_proj[weight_set](x).view(len(x), 3, self.heads, 1, -1)
        q, k, v = heads.unbind(dim=1)
        keys[:, :, codebook : codebook + 1] = k
        values[:, :, codebook : codebook + 1] = v
        until = codebook + 1
        y = F.scaled_dot_product_attention(q, keys[:, :, :until], values[:, :, :until])
        out: Tensor = self.out_proj[weight_set](y.flatten(1))
        return out

    def whole_frames(self, x: Tensor, spans: Sequence[CodebookSpan]) -> Tensor:
        """[K, N, D] -> [K, N, D]: all codebooks of N frames."""
        heads = _by_weight_set(self.in_proj, x, spans).unflatten(-1, (3, self.heads, -1))  # type: ignore[no-untyped-call]
        q, k, v = heads.permute(2, 1, 3, 0, 4)
        y = causal_attention(q, k, v)
        return _by_weight_set(self.out_proj, y.permute(2, 0, 1, 3).flatten(2), spans)


class DepthLayer(nn.Module):
    """Pre-norm attention and gated feed-forward; norms are shared by all codebooks."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.norm1 = RMSNorm(config.width)
        self.self_attn = DepthAttention(config)
        self.norm2 = RMSNorm(config.width)
        self.feed_forward = nn.ModuleList(
            GatedFeedForward(config.width, config.hidden) for _ in range(config.weight_sets)
        )

    def forward(self, x: Tensor, codebook: int, weight_set: int, keys: Tensor, values: Tensor) -> Tensor:
        """[N, D] -> [N, D]."""
        x = x + self.self_attn(_norm(self.norm1, x), codebook, weight_set, keys, values)
        y: Tensor = x + self.feed_forward[weight_set](_norm(self.norm2, x))
        return y

    def whole_frames(self, x: Tensor, spans: Sequence[CodebookSpan]) -> Tensor:
        """[K, N, D] -> [K, N, D]: all codebooks of N frames."""
        x = x + self.self_attn.whole_frames(self.norm1(x), spans)
        return x + _by_weight_set(self.feed_forward, self.norm2(x), spans)


def _norm(norm: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = norm(x[:, None])[:, 0]
    return y


@dataclass(frozen=True)
class DepthCache:
    """Keys and values of the codebooks of one frame so far, [layers, N, H, K, d] each; begun anew at every step."""

    keys: Tensor
    values: Tensor


class DepthTransformer(nn.Module):
    """p(codebook c | h, text, codebooks before c), one codebook at a time (arXiv:2410.00037 equation 6)."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = depth = config.depth
        self.codebooks = codebooks = config.own_codebooks
        rank = depth.embedding_rank
        self.inputs = nn.ModuleList(
            nn.Linear(config.temporal.width, depth.width, bias=False) for _ in range(depth.weight_sets)
        )
        self.text_emb = TokenEmbedding(config.text_card + 1, depth.width, rank)
        self.emb = nn.ModuleList(
            TokenEmbedding(config.card + 1, depth.width, rank) for _ in range(codebooks - 1)
        )
        self.layers = nn.ModuleList(DepthLayer(depth) for _ in range(depth.layers))
        norms = (
            make_norm(Norm.LAYER, depth.width) if depth.output_norms else nn.Identity()
            for _ in range(codebooks)
        )
        self.norms = nn.ModuleList(norms)
        self.linears = nn.ModuleList(
            nn.Linear(depth.width, config.card, bias=False) for _ in range(codebooks)
        )

    def start(self, h: Tensor) -> DepthCache:
        """An empty cache for the frame that follows `h` [N, D]."""
        shape = (self.config.layers, len(h), self.config.heads, self.codebooks, self.config.head_width)
        return DepthCache(h.new_empty(shape), h.new_empty(shape))

    def forward(self, h: Tensor, previous: Tensor, codebook: int, cache: DepthCache) -> Tensor:
        """Logits of one codebook.

        Args:
            h: [N, D] from the temporal transformer.
            previous: int64 [N]: the text token for codebook 0, else the token of `codebook - 1`.
            codebook: which one; they must be taken in order.
            cache: of this frame; extended in place.

        Returns:
            Logits [N, card].
        """
        weight_set = self.config.schedule[codebook]
        embedding = self.text_emb if codebook == 0 else self.emb[codebook - 1]
        x = self.inputs[weight_set](h) + embedding(previous)
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            x = layer(x, codebook, weight_set, keys, values)
        logits: Tensor = self.linears[codebook](self.norms[codebook](x))
        return logits

    def teacher_forced(self, h: Tensor, tokens: Tensor) -> Tensor:
        """Logits of all codebooks at once, where what comes before each is known.

        Args:
            h: [N, D] from the temporal transformer.
            tokens: int64 [N, 1 + codebooks]: the text token, then those of the codebooks; the last is not read.

        Returns:
            Logits [N, codebooks, card], as `forward` gives them one codebook after the other.
        """
        spans = list(codebook_spans(self.config.schedule))
        tables: list[nn.Module] = [self.text_emb, *self.emb]
        embedded = [table(column) for table, column in zip(tables, tokens.T[:-1], strict=True)]
        given = torch.cat([self._given(h, span) for span in spans])
        x = given + torch.stack(embedded)
        for layer in self.layers:
            assert isinstance(layer, DepthLayer)
            x = layer.whole_frames(x, spans)
        outputs = zip(self.linears, self.norms, x.unbind(), strict=True)
        return torch.stack([linear(norm(row)) for linear, norm, row in outputs], dim=1)

    def _given(self, h: Tensor, span: CodebookSpan) -> Tensor:
        """[codebooks of `span`, N, D]: what their frames' `h` [N, D] gives each codebook."""
        count = span.codebooks.stop - span.codebooks.start
        row: Tensor = self.inputs[span.weight_set](h)
        return row.expand(count, *row.shape)


class RQTransformer(StreamingModule):
    """Temporal and depth transformer over the streams text, own codebooks, heard codebooks."""

    def __init__(self, config: LMConfig, *, sinks: bool = False) -> None:
        """Builds the model; `sinks` lets lanes pin their prompt (see `attention`)."""
        super().__init__()
        self.config = config
        width = config.temporal.width
        self.text_emb = TokenEmbedding(config.text_card + 1, width)
        self.emb = nn.ModuleList(
            TokenEmbedding(config.card + 1, width)
            for _ in range(config.own_codebooks + config.heard_codebooks)
        )
        self.condition = DescriptionCondition(width) if config.description else None
        self.transformer = Transformer(config.temporal, sinks=sinks)
        self.out_norm = make_norm(config.temporal.norm, width)
        self.text_linear = nn.Linear(width, config.text_card, bias=False)
        self.depth = DepthTransformer(config)

    def embed(self, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
        """The input of the temporal transformer.

        Args:
            tokens: int64 [B, streams, T], columns of the token table.
            condition: [B or 1, 1, D], added to every column.

        Returns:
            [B, T, D].
        """
        text, *codebooks = tokens.unbind(dim=1)
        x: Tensor = self.text_emb(text)
        for embedding, codes in zip(self.emb, codebooks, strict=True):
            x = x + embedding(codes)
        return x if condition is None else x + condition.to(x.dtype)

    def temporal(
        self, x: Tensor, state: StreamingState | None = None, pinned: Tensor | None = None
    ) -> Tensor:
        """The normed output h [B, T, D] for the embedded columns `x` [B, T, D].

        Without a state, `x` is the whole sequence, of which the first `pinned` columns, int64 [B], are each lane's
        prompt; with one, what comes next in each lane.
        """
        h: Tensor = self.out_norm(self.transformer(x, state, pinned))
        return h

    def text_logits(self, h: Tensor) -> Tensor:
        """[..., D] -> [..., text_card]."""
        logits: Tensor = self.text_linear(h)
        return logits

    def forward(self, tokens: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Teacher-forced logits of a whole token table.

        Args:
            tokens: int64 [B, streams, T + 1]: columns at positions 0 to T, delayed, the first all initial tokens.
            condition: [B or 1, 1, D].

        Returns:
            Logits of the columns 1 to T: text [B, T, text_card] and own codebooks [B, T, codebooks, card].
        """
        h = self.temporal(self.embed(tokens[..., :-1], condition))
        targets = tokens[:, : 1 + self.config.own_codebooks, 1:].transpose(1, 2).flatten(0, 1)
        audio = self.depth.teacher_forced(h.flatten(0, 1), targets)
        return self.text_logits(h), audio.unflatten(0, h.shape[:2])  # type: ignore[no-untyped-call]
