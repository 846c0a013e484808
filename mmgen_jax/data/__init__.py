"""Data sources and the one pipeline that reads them.

A source is a module of this package with a class `Source`, a dataclass built from `config.data`:

    splits: ClassVar[tuple[str, ...]]     the names that `split` may have; the first is the one to train on
    split: str
    names: tuple[str, ...]                the modalities to read, a subset of what the set has; () is all of them
    modalities: dict[str, Modality]       of those names (an attribute or property)
    __len__() -> int                      examples in the split
    read(indices [B] int64, epochs [B] int64) -> {name: array, "name/mask": array}

`read` is random access and pure: the same indices and epochs give identical arrays in every process. It reads a
whole batch at once so that a source can render or gather it vectorised. `epochs` counts the passes over the data;
only sources whose examples differ from pass to pass (a pairing drawn anew) use it.

Optional, where some labels of an example tell every caption of its `text` that would be true:

    caption_labels: ClassVar[tuple[str, ...]]             those labels
    true_captions(labels: {name: id}) -> list[str]        the captions
"""
