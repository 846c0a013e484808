"""Data sources and the one pipeline that reads them.

A source is a module of this package with a class `Source`, a dataclass built from `config.data`:

    splits: ClassVar[tuple[str, ...]]     the names that `split` may have; the first is the training split
    split: str
    names: tuple[str, ...]                the modalities to read; () reads all modalities of the set
    modalities: dict[str, Modality]       the modalities of `names` (an attribute or property)
    __len__() -> int                      examples in the split
    read(indices [B] int64, epochs [B] int64) -> {name: array, "name/mask": array}

`read` is random access and pure: the same indices and epochs give identical arrays in every process. It reads a whole
batch at once, so that a source can render or gather the batch without a loop over examples. `epochs` is the number of
the pass over the data; it matters only for sources whose examples change from pass to pass (`digits` draws its pairs
anew, `folder` and `npz` one of several texts).

Optional methods: `mmgen check-data` and `mmgen train` print the first two; the third identifies a state of the data:

    layout_found() -> list[str]           how the source reads the data
    warnings() -> list[str]               possible mistakes in the data
    fingerprint() -> str                  the same for all splits and names; changes with the examples and fields

Optional, for a source of the user's own files:

    places(indices [B]) -> list[str]                      the path of each example; `mmgen retrieve` writes it

Optional, where some labels of an example determine all captions that are true of the example:

    caption_labels: ClassVar[tuple[str, ...]]             the names of these labels
    true_captions(labels: {name: id}) -> list[str]        the captions

Optional, where an example has several captions and a batch shows one of them:

    references(text: str, ids [L]) -> list of ids [L]     all captions of the examples that have the caption `ids`
"""
