//! The programme files that ship with the exchange, so that no path has to exist where it runs (PROGRAMMES §2).
//!
//! Offices enact them or their own; pages show them, also those that are pending or need a procedure not built yet.

macro_rules! files {
    ($($id:literal)*) => {
        &[$(($id, include_str!(concat!("../../fixtures/programmes/", $id, ".toml")))),*]
    };
}

/// Each file's id and text.
pub const FILES: &[(&str, &str)] = files! {
    "beijing-compute-2023" "beijing-etown-2024" "beijing-etown-servers-2024" "beijing-opc-2026-compute"
    "beijing-opc-2026-data" "beijing-opc-2026-token" "chengdu-compute-2023" "chengdu-compute-2025"
    "chengdu-hitech-2025" "guizhou-2024" "hangzhou-compute-2024" "hangzhou-compute-2025" "henan-compute-2023"
    "langfang-compute" "linyi-cloud-2018" "nanning-compute-2025" "ningbo-compute-2025" "qingdao-compute-2026"
    "qingyang-compute-2024" "qingyang-large-2024" "shandong-compute-2025" "shanghai-compute-2025-press"
    "shanghai-compute-2025-text" "shanghai-compute-2026" "shanghai-corpus-2025" "shanghai-district-top-up"
    "shanghai-model-2025" "shenzhen-corpus-2024" "shenzhen-corpus-open-2024" "shenzhen-model-2024"
    "shenzhen-training-2024" "yangzhou-compute-2024" "zhejiang-compute-2025" "zhejiang-corpus-2025"
    "zhengzhou-compute-2024"
};

/// The text of a file that ships.
#[must_use]
pub fn text(id: &str) -> Option<&'static str> {
    let mut files = FILES.iter();
    files.find(|(its, _)| *its == id).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use verifier::programme::ProgrammeFile;

    #[test]
    fn every_file_loads_under_its_own_id_and_none_is_left_out() {
        for (id, text) in FILES {
            let file = ProgrammeFile::parse(text).unwrap_or_else(|why| panic!("{id}: {why}"));
            assert_eq!(file.header().id.as_str(), *id);
            assert!(file.gaps().is_empty(), "{id}: {:?}", file.gaps());
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/programmes");
        let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|item| item.unwrap().file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .collect();
        let shipped: BTreeSet<String> = FILES.iter().map(|(id, _)| (*id).to_owned()).collect();
        assert_eq!(shipped, on_disk);
    }
}
