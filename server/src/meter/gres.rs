//! GPUs out of a Slurm TRES list (facts/metering.md §1.3).
//!
//! `billing=8,cpu=8,gres/gpu=2,gres/gpu:h200=1` holds two GPUs: the figure without a type is the total over all nodes, a
//! figure with a type is a part of it and is never added. `gres/gpuutil`, `gres/gpumem` and `gres/shard` begin alike
//! and mean something else, so keys are compared whole.

/// More GPUs than any one job holds: a larger figure is a damaged row.
pub const GPUS_MAX: u32 = 1_000_000;

/// What a TRES list says about GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gpus {
    /// Whether the list names GPUs at all; where it never does, the site's accounting does not see them.
    pub is_named: bool,
    /// The types and how many of each, in the list's order; `None` is the rest that has no type.
    pub parts: Vec<(Option<String>, u32)>,
}

/// A TRES list that cannot be believed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTres(pub String);

/// Reads the GPUs of one `AllocTRES` value.
/// # Errors
/// [`BadTres`] for a count that is no number, is named twice, or whose types exceed the total.
pub fn gpus(list: &str) -> Result<Gpus, BadTres> {
    let mut total: Option<u32> = None;
    let mut typed: Vec<(Option<String>, u32)> = Vec::new();
    let mut is_named = false;
    for item in list.split(',') {
        let Some((key, value)) = item.trim().split_once('=') else {
            continue;
        };
        let Some(kind) = key.strip_prefix("gres/gpu") else {
            continue;
        };
        match kind.strip_prefix(':') {
            None if kind.is_empty() => {
                if total.replace(count(value)?).is_some() {
                    return Err(BadTres(format!("{list:?} names gres/gpu twice")));
                }
            }
            None => continue,
            Some(name) => {
                if typed
                    .iter()
                    .any(|(known, _)| known.as_deref() == Some(name))
                {
                    return Err(BadTres(format!("{list:?} names gres/gpu:{name} twice")));
                }
                typed.push((Some(name.to_owned()), count(value)?));
            }
        }
        is_named = true;
    }
    let sum = typed.iter().map(|(_, n)| u64::from(*n)).sum::<u64>();
    let rest = match total {
        None => 0,
        Some(total) => u64::from(total).checked_sub(sum).ok_or_else(|| {
            BadTres(format!(
                "{list:?}: the types sum to {sum}, more than the {total} GPUs in all"
            ))
        })?,
    };
    if let Ok(rest @ 1..) = u32::try_from(rest) {
        typed.push((None, rest));
    }
    typed.retain(|(_, n)| *n > 0);
    Ok(Gpus {
        is_named,
        parts: typed,
    })
}

fn count(value: &str) -> Result<u32, BadTres> {
    let digits_only = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let number = if digits_only {
        value.parse::<u32>().ok()
    } else {
        None
    };
    number.filter(|n| *n <= GPUS_MAX).ok_or_else(|| {
        BadTres(format!(
            "{value:?} is not a number of GPUs, 0 to {GPUS_MAX}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(list: &str) -> Vec<(Option<String>, u32)> {
        gpus(list).unwrap().parts
    }

    #[test]
    fn each_public_form_is_read_as_its_site_meant_it() {
        let t = |name: &str| Some(name.to_owned());
        for (list, expected) in [
            (
                "billing=10,cpu=10,gres/gpu=4,mem=374000M,node=2",
                vec![(None, 4)],
            ),
            (
                "billing=8,cpu=8,gres/gpu:nvidia_a100=1,mem=64G,node=1",
                vec![(t("nvidia_a100"), 1)],
            ),
            (
                "billing=8,cpu=8,gres/gpu=1,gres/gpu:h200=1,mem=180G,node=1",
                vec![(t("h200"), 1)],
            ),
            ("gres/gpu:h200=1,cpu=8,gres/gpu=1", vec![(t("h200"), 1)]),
            (
                "cpu=2,node=2,gres/gpu=2,gres/gpu:tesla=1",
                vec![(t("tesla"), 1), (None, 1)],
            ),
            ("cpu=2,gres/gpuutil=50,gres/gpumem=4G,gres/shard=2", vec![]),
            ("cpu=2,gres/gpu=0", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parts(list), expected, "{list}");
        }
    }

    #[test]
    fn a_list_without_gpus_is_told_from_one_with_none() {
        assert!(
            !gpus("billing=192,cpu=192,gres/gpuutil=7,node=1")
                .unwrap()
                .is_named
        );
        assert!(gpus("cpu=2,gres/gpu=0").unwrap().is_named);
    }

    #[test]
    fn a_list_that_contradicts_itself_is_refused() {
        for bad in [
            "gres/gpu=1,gres/gpu:h200=2",
            "gres/gpu=1,gres/gpu=1",
            "gres/gpu:h200=1,gres/gpu:h200=1",
            "gres/gpu=",
            "gres/gpu=-2",
            "gres/gpu=+2",
            "gres/gpu=4K",
            "gres/gpu=1000001",
            "gres/gpu=99999999999999999999",
        ] {
            assert!(gpus(bad).is_err(), "{bad}");
        }
    }
}
