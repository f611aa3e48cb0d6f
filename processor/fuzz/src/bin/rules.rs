#![no_main]

libfuzzer_sys::fuzz_target!(init: tocsin_fuzz::write_seeds(&tocsin_fuzz::RULES), |bytes: &[u8]| {
    (tocsin_fuzz::RULES.run)(bytes);
});
