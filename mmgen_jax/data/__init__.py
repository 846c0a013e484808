"""Data sources and the one pipeline that reads them.

A source is a module of this package with a class `Source`, a dataclass built from `config.data`:

    splits: ClassVar[tuple[str, ...]]     the names that `split` may have; the first is the training split
    split: str
    names: tuple[str, ...]                the modalities to read, some of those of the set; () is all of them
    modalities: dict[str, Modality]       the modalities of `names` (an attribute or property)
    __len__() -> int                      examples in the split
    read(indices [B] int64, epochs [B] int64) -> {name: array, "name/mask": array}

`read` is random access and pure: the same indices and epochs give identical arrays in every process. It reads a whole
batch at once, so that a source can render or gather the batch without a loop over examples. `epochs` is the number of
the pass over the data; it matters only for sources whose examples change from pass to pass (`digits` draws its pairs
anew).

Optional, what `mmgen check-data` and `mmgen train` print, and what tells one state of the data from another:

    layout_found() -> list[str]           how the source reads what it was given
    warnings() -> list[str]               what is perhaps not as it was meant
    fingerprint() -> str                  the same for all splits and names, another where examples or fields are

Optional, where some labels of an example tell every caption of its `text` that would be true:

    caption_labels: ClassVar[tuple[str, ...]]             the names of these labels
    true_captions(labels: {name: id}) -> list[str]        the captions

or where examples have several captions, of which a batch shows one:

    references(text: str, ids [L]) -> list of ids [L]     all captions of the examples that have that one
"""
