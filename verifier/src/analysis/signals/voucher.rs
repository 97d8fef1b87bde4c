//! Vouchers and caps: who takes exactly all there is, and who takes and does not use.

use super::{Kind, Signal};
use crate::analysis::{Study, share_bp};
use crate::book::state::chain::Spoken;
use crate::id::PartyId;
use crate::programme::Programme;
use crate::programme::schema::{Cap, CapKey, CapPer, Known};
use crate::time::DAY_SECONDS;

/// So much of a cap and more hugs it.
const CAP_SHARE_BP_MIN: i64 = 9_800;
/// Holders that end just at their cap.
pub(super) const CAP_HUGGING: Kind = Kind {
    name: "cap-hugging",
    looks_for: "a holder, group or contract that has drawn a cap to the brim",
    thresholds: &[("share_bp", CAP_SHARE_BP_MIN)],
};

pub(super) fn cap_hugging(study: &Study) -> Vec<Signal> {
    let book = study.book();
    let current = book.programmes.values().filter_map(|all| all.current());
    let programmes: Vec<_> = current.map(|(_, version)| &version.programme).collect();
    let caps = programmes
        .iter()
        .flat_map(|programme| programme.caps.iter().map(move |cap| (&***programme, cap)));
    let caps: Vec<_> = caps.collect();
    let mut seen = Vec::new();
    for (key, used) in book.money.counters().iter() {
        let parts: Vec<_> = key.as_str().split('/').collect();
        let ["cap", scope, subject, span, ..] = parts.as_slice() else {
            continue;
        };
        let mut of = caps.iter().filter(|(programme, cap)| {
            scope_of(programme, cap) == *scope && counts(cap, subject, span)
        });
        let limit = of.find_map(|(_, cap)| match cap.limit {
            Known::Known(limit) => Some(limit.get()),
            Known::Unknown => None,
        });
        let share = limit.map_or(0, |limit| share_bp(used, limit));
        if let Some(limit) = limit.filter(|_| share >= CAP_SHARE_BP_MIN) {
            let holder = PartyId::parse(subject).ok();
            let numbers = [("cap_fen", limit), ("used_fen", used), ("share_bp", share)];
            let mut signal = Signal::new(&CAP_HUGGING, holder, numbers);
            signal.subjects.push(key.to_string());
            signal.entries = holder.map_or_else(Vec::new, |holder| issues(study, holder, scope));
            seen.push(signal);
        }
    }
    seen
}

fn scope_of<'a>(programme: &'a Programme, cap: &'a Cap) -> &'a str {
    let own = programme.header.id.as_str();
    cap.shared.as_deref().unwrap_or(own)
}

/// Whether a cap has counters of this form; the programme's own total is nobody's brim.
fn counts(cap: &Cap, subject: &str, span: &str) -> bool {
    let by_party = subject.starts_with("pty-");
    let subject_fits = match cap.key {
        CapKey::Holder => by_party,
        CapKey::Programme => false,
        CapKey::Group | CapKey::Contract | CapKey::Site => !by_party && subject != "programme",
    };
    let span_fits = match cap.per {
        CapPer::Life => span == "life",
        CapPer::CalendarYear => span.len() == 4,
        CapPer::Quarter => span.contains("-Q"),
        CapPer::Window | CapPer::ProgrammeYear => span.starts_with("window-"),
    };
    subject_fits && span_fits
}

/// The entries that issued a holder's vouchers of a programme.
fn issues(study: &Study, holder: PartyId, programme: &str) -> Vec<u64> {
    let vouchers = study.book().money.vouchers();
    let own = vouchers.filter(|(_, voucher)| {
        voucher.holder.party == holder && voucher.programme.as_str() == programme
    });
    own.filter_map(|(id, _)| study.seen().issued.get(&id).map(|(entry, _)| *entry))
        .take(super::ENTRIES_SHOWN_MAX)
        .collect()
}

/// A voucher that nobody spends for so long …
const UNUSED_SECONDS: i64 = 90 * DAY_SECONDS;
/// … and a bought dataset that no receipt names for so long.
const UNPROVEN_SECONDS: i64 = 180 * DAY_SECONDS;
/// Taken and left.
pub(super) const NEVER_USED: Kind = Kind {
    name: "never-used",
    looks_for: "a voucher that lies unspent, and a dataset that was bought and accepted and that no receipt names",
    thresholds: &[
        ("voucher_seconds", UNUSED_SECONDS),
        ("dataset_seconds", UNPROVEN_SECONDS),
    ],
};

pub(super) fn never_used(study: &Study) -> Vec<Signal> {
    let book = study.book();
    let Some(until) = book.last_at else {
        return Vec::new();
    };
    let mut seen = Vec::new();
    for (id, voucher) in book.money.vouchers().filter(|(_, voucher)| !voucher.used) {
        let Some((entry, at)) = study.seen().issued.get(&id) else {
            continue;
        };
        if until >= at.after(UNUSED_SECONDS) {
            let numbers = [
                ("face_fen", voucher.face.get()),
                ("unused_seconds", until.unix() - at.unix()),
            ];
            let mut signal = Signal::new(&NEVER_USED, [voucher.holder.party], numbers);
            signal.subjects.push(id.to_string());
            signal.entries.push(*entry);
            seen.push(signal);
        }
    }
    let unproven = book.dealings.iter().filter(|(_, all)| !all.use_proven);
    for (id, dealings) in unproven {
        let accepted = dealings.deliveries.values().filter(|delivered| {
            let is_accepted = delivered.verdict.is_some_and(Spoken::is_accepted);
            is_accepted && until >= delivered.at.after(UNPROVEN_SECONDS)
        });
        let (Some(first), Some(order)) = (accepted.map(|one| one.at).min(), book.orders.get(id))
        else {
            continue;
        };
        let numbers = [
            ("granted_fen", super::granted(study, *id)),
            ("unused_seconds", until.unix() - first.unix()),
        ];
        let signal = Signal::new(&NEVER_USED, [order.buyer, order.seller], numbers);
        seen.push(signal.orders(study, [*id]));
    }
    seen
}
