//! [`ByteCount`]: counts the bytes read, and reports them in steps for a progress bar.

/// Bytes between two reports: some hundred reports a second.
const STEP_BYTES: u64 = 1 << 20;

/// Receives the number of bytes read since the last report.
pub type OnBytes<'a> = &'a mut dyn FnMut(u64);

/// Counts the bytes of a file's lines.
pub struct ByteCount<'a> {
    on_bytes: OnBytes<'a>,
    unreported: u64,
}

impl<'a> ByteCount<'a> {
    pub fn new(on_bytes: OnBytes<'a>) -> Self {
        Self {
            on_bytes,
            unreported: 0,
        }
    }

    #[inline]
    pub fn add(&mut self, bytes: u64) {
        self.unreported += bytes;
        if self.unreported >= STEP_BYTES {
            (self.on_bytes)(self.unreported);
            self.unreported = 0;
        }
    }

    /// Adds a line without its newline.
    #[inline]
    pub fn add_line(&mut self, line: &[u8]) {
        self.add(line.len() as u64 + 1);
    }
}
