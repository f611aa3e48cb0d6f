#![no_main]

libfuzzer_sys::fuzz_target!(init: tocsin_fuzz::write_seeds(&tocsin_fuzz::SCHEMA), |bytes: &[u8]| {
    (tocsin_fuzz::SCHEMA.run)(bytes);
});
