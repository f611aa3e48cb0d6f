#![no_main]

libfuzzer_sys::fuzz_target!(init: tocsin_fuzz::write_seeds(&tocsin_fuzz::AVRO), |bytes: &[u8]| {
    (tocsin_fuzz::AVRO.run)(bytes);
});
