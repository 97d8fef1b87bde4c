//! One bar a file under way and one for all, on a terminal only.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of a push.
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

/// How far one file is; the total follows it.
pub(super) struct Bar {
    one: ProgressBar,
    total: ProgressBar,
    at: u64,
}

impl Bars {
    pub(super) fn new(bytes: u64) -> Self {
        let all = MultiProgress::new();
        let total = styled(all.add(ProgressBar::new(bytes)), "all".to_owned());
        Self { all, total }
    }

    pub(super) fn one(&self, name: &str, bytes: u64) -> Bar {
        let one = self.all.insert_before(&self.total, ProgressBar::new(bytes));
        Bar {
            one: styled(one, name.to_owned()),
            total: self.total.clone(),
            at: 0,
        }
    }

    pub(super) fn end(&self) {
        self.total.finish_and_clear();
    }
}

impl Bar {
    /// It is here now, which may be before where it was.
    pub(super) fn to(&mut self, at: u64) {
        if at >= self.at {
            self.total.inc(at - self.at);
        } else {
            self.total.dec(self.at - at);
        }
        self.at = at;
        self.one.set_position(at);
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.to(self.at.saturating_add(bytes as u64));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.one.finish_and_clear();
    }
}

fn styled(bar: ProgressBar, name: String) -> ProgressBar {
    let style =
        "{bar:30} {binary_bytes:>11} of {binary_total_bytes} {binary_bytes_per_sec} {eta} {msg}";
    let bar = bar.with_message(name);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
