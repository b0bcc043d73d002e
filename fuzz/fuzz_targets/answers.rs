#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for kind in ["TWILIO", "META", "SINCH_V2", "SINCH", "KALEYRA"] {
        fuzz::answers(kind, data);
    }
});
