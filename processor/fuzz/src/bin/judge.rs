#![no_main]

libfuzzer_sys::fuzz_target!(init: tocsin_fuzz::write_seeds(&tocsin_fuzz::JUDGE), |bytes: &[u8]| {
    (tocsin_fuzz::JUDGE.run)(bytes);
});
