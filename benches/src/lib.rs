//! Measurements of Tocsin beside its peers. They come with the work on speed; there is nothing to measure with yet.
