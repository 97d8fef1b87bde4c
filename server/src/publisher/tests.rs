use super::*;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use verifier::trail::policy::Policy;
use verifier::trail::tile::tiles_of;
use verifier::trail::tree::Frontier;

use crate::objects;
use crate::store::Address;

mod upkeep;

/// The sizes at which a head is published: a tile begins, fills, and another begins.
const SIZES: [u64; 5] = [1, 255, 256, 257, 600];
/// The same in fewer effects, for the run that stops at each of them.
const FEW_SIZES: [u64; 2] = [256, 300];

/// One exchange on disk, without a sequencer: entries are `entry <seq>`.
pub(super) struct Exchange {
    folder: TempDir,
    pub(super) store: Arc<Store>,
    pub(super) keys: Arc<Keys>,
    pub(super) origin: Origin,
}

impl Exchange {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keys::open(folder.path()).unwrap());
        Self::with_keys(folder, keys)
    }

    fn with_keys(folder: TempDir, keys: Arc<Keys>) -> Self {
        let address = Address::Sqlite(folder.path().join("quan.db"));
        Self {
            store: Arc::new(Store::open(address).unwrap()),
            keys,
            origin: Origin::parse("localhost/quan").unwrap(),
            folder,
        }
    }

    pub(super) fn trail(&self) -> std::path::PathBuf {
        self.folder.path().join("trail")
    }

    pub(super) fn publisher(&self, faults: Faults) -> Result<Publisher, Fault> {
        Publisher::open(Parts {
            store: Arc::clone(&self.store),
            objects: Objects::folder(&self.trail())?,
            keys: Arc::clone(&self.keys),
            origin: self.origin.clone(),
            faults,
        })
    }

    /// Commits entries up to `size`, as the sequencer does.
    pub(super) fn commit(&self, size: u64) {
        let mut db = self.store.dedicated().unwrap();
        db.transaction(|tx| {
            let from = log::lock_head(tx)?.head;
            let new: Vec<_> = (from.size..size).map(entry).collect();
            let mut edge = Frontier::from_bytes(&from.edge).unwrap_or(Frontier::empty());
            new.iter()
                .for_each(|entry| edge.append(tree::leaf_hash(entry)));
            let to = log::Head {
                size,
                root: *edge.root().as_bytes(),
                edge: edge.to_bytes(),
                at: from.at,
            };
            if size > from.size {
                log::append(tx, &from, &new, &to)?;
            }
            Ok::<_, StoreFault>(())
        })
        .unwrap();
    }

    /// Publishes size after size until done or stopped.
    fn run(&self, sizes: &[u64], faults: &Faults) -> Result<(), Fault> {
        let mut publisher = self.publisher(faults.clone())?;
        for size in sizes {
            self.commit(*size);
            while publisher.step()? != Step::Idle {}
        }
        Ok(())
    }

    fn published(&self) -> (u64, Hash) {
        let note = fs::read(self.trail().join(CHECKPOINT)).unwrap();
        let policy = fs::read(self.folder.path().join("policy.txt")).unwrap();
        let note = Note::parse(&note).unwrap();
        let verified = Policy::parse(&policy).unwrap().check(&note).unwrap();
        let checkpoint = verified.checkpoint();
        (checkpoint.size().get(), checkpoint.root())
    }

    fn signed_sizes(&self, up_to: u64) -> Vec<SignedHead> {
        let mut db = self.store.dedicated().unwrap();
        let at = |size| heads::signed_at(&mut db, size).unwrap();
        (0..=up_to).filter_map(at).collect()
    }
}

fn entry(seq: u64) -> Vec<u8> {
    format!("entry {seq}").into_bytes()
}

/// Grows the tree of `size` in memory and looks for every tile and bundle of it on disk.
fn check_trail(trail: &Path, size: u64) -> Hash {
    let mut growth = Growth::empty();
    let mut demanded = Vec::new();
    for seq in 0..size {
        let keep = |path: TilePath, bytes: &[u8]| {
            demanded.push((path.to_string(), bytes.to_vec()));
            Ok::<_, Flaw>(())
        };
        growth.push(tree::leaf_hash(&entry(seq)), keep).unwrap();
    }
    let partial = growth.partial_tiles();
    demanded.extend(partial.map(|(path, bytes)| (path.to_string(), bytes.to_vec())));
    assert_eq!(demanded.len(), tiles_of(growth.size()).count());
    for path in bundle::bundles_of(growth.size()) {
        let entries: Vec<_> = (path.first()..path.first() + u64::from(path.width()))
            .map(entry)
            .collect();
        let bytes = bundle::encode(entries.iter().map(Vec::as_slice)).unwrap();
        demanded.push((path.to_string(), bytes));
    }
    for (path, bytes) in demanded {
        assert_eq!(
            fs::read(trail.join(&path)).unwrap(),
            bytes,
            "{path} at {size}"
        );
    }
    growth.root()
}

fn check_all(exchange: &Exchange, sizes: &[u64], context: &str) {
    let last = sizes.last().copied().unwrap();
    let signed = exchange.signed_sizes(last);
    let signed_sizes: Vec<_> = signed.iter().map(|signed| signed.size).collect();
    assert_eq!(signed_sizes, [&[0], sizes].concat(), "{context}");
    for head in signed {
        let root = check_trail(&exchange.trail(), head.size);
        assert_eq!(*root.as_bytes(), head.root, "{context}");
        if head.size == last {
            assert_eq!(exchange.published(), (last, root), "{context}");
        }
    }
}

#[test]
fn every_signed_size_has_its_tiles_and_the_first_is_the_empty_one() {
    let exchange = Exchange::new();
    exchange.commit(1);
    let mut publisher = exchange.publisher(Faults::none()).unwrap();
    publisher
        .write_policy(&exchange.folder.path().join("policy.txt"))
        .unwrap();
    assert_eq!(publisher.step().unwrap(), Step::Published(0));
    assert_eq!(exchange.published(), (0, Hash::EMPTY));
    assert_eq!(publisher.step().unwrap(), Step::Published(1));
    assert_eq!(publisher.step().unwrap(), Step::Idle);
    drop(publisher);
    exchange.run(&SIZES, &Faults::none()).unwrap();
    check_all(&exchange, &SIZES, "clean");
}

/// Between a server's look at what to publish and its look at the tiles, another server publishes more.
#[test]
fn a_server_that_is_overtaken_leaves_it_at_that() {
    let exchange = Exchange::new();
    exchange.commit(4);
    let mut slow = exchange.publisher(Faults::none()).unwrap();
    while slow.step().unwrap() != Step::Idle {}
    let mut slow = exchange.publisher(Faults::none()).unwrap();
    exchange.commit(5);
    let mut db = slow.db.take().unwrap();
    let target = slow.target(&mut db).unwrap().unwrap();
    assert_eq!(target.size, 5);

    exchange.run(&[6], &Faults::none()).unwrap();
    assert_eq!(slow.publish(&mut db, &target).unwrap(), Step::Idle);

    slow.db = Some(db);
    exchange.commit(7);
    assert_eq!(slow.step().unwrap(), Step::Published(7));
    let policy = exchange.folder.path().join("policy.txt");
    slow.write_policy(&policy).unwrap();
    assert_eq!(exchange.published().0, 7);
}

#[test]
fn a_stop_at_any_point_is_made_good_by_the_next_start() {
    let clean = Exchange::new();
    let counting = Faults::counting();
    clean.run(&FEW_SIZES, &counting).unwrap();
    let points = counting.passed();
    assert!(points > 30, "{points}");
    // Several at once wait for the disk together.
    std::thread::scope(|scope| {
        for first in 0..4 {
            let points = (0..points).filter(move |point| point % 4 == first);
            let keys = &clean.keys;
            scope.spawn(move || points.for_each(|point| stop_and_go_on(point, keys)));
        }
    });
}

fn stop_and_go_on(point: u64, keys: &Arc<Keys>) {
    let folder = tempfile::tempdir().unwrap();
    let exchange = Exchange::with_keys(folder, Arc::clone(keys));
    let stopped = exchange.run(&FEW_SIZES, &Faults::stop_at(point));
    assert!(matches!(stopped, Err(Fault::Crash(_))), "{point}");
    let publisher = exchange.publisher(Faults::none()).unwrap();
    let policy = exchange.folder.path().join("policy.txt");
    publisher.write_policy(&policy).unwrap();
    drop(publisher);
    exchange.run(&FEW_SIZES, &Faults::none()).unwrap();
    let context = format!("stopped at point {point}");
    check_all(&exchange, &FEW_SIZES, &context);
}

#[test]
fn a_database_older_than_the_published_checkpoint_never_starts() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    let published = exchange.trail().join(CHECKPOINT);
    // The other database has the same key, as a restored backup has.
    let folder = tempfile::tempdir().unwrap();
    let old = Exchange::with_keys(folder, Arc::clone(&exchange.keys));
    fs::create_dir(old.trail()).unwrap();
    fs::copy(&published, old.trail().join(CHECKPOINT)).unwrap();
    old.commit(599);
    let refused = old.publisher(Faults::none()).err().unwrap();
    assert!(matches!(
        refused,
        Fault::Ahead {
            published: 600,
            committed: 599
        }
    ));
    assert!(refused.to_string().contains("Restore"));
    // Larger again, but by other entries or without the row of what was signed: another history.
    old.commit(601);
    let refused = old.publisher(Faults::none()).err().unwrap();
    assert!(matches!(refused, Fault::Fork { size: 600 }));
}

#[test]
fn another_key_or_origin_is_refused() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    let renamed = Exchange {
        origin: Origin::parse("localhost/other").unwrap(),
        ..exchange
    };
    let refused = renamed.publisher(Faults::none());
    assert!(matches!(refused.err(), Some(Fault::Foreign(_))));
}

#[test]
fn a_lost_tile_is_put_again_and_a_changed_one_is_an_alarm() {
    let exchange = Exchange::new();
    exchange.run(&SIZES, &Faults::none()).unwrap();
    let tile = exchange.trail().join("tile/0/002.p/88");
    fs::remove_file(&tile).unwrap();
    exchange.commit(601);
    exchange.publisher(Faults::none()).unwrap().step().unwrap();
    check_trail(&exchange.trail(), 601);
    let tile = exchange.trail().join("tile/0/002.p/89");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    fs::write(&tile, &bytes).unwrap();
    exchange.commit(602);
    // The growth cannot resume from it, starts from the first entry, and goes on: no row depends on that tile any more.
    exchange.publisher(Faults::none()).unwrap().step().unwrap();
    check_trail(&exchange.trail(), 602);
    // One that has to be put again with other bytes stops the publisher.
    let tile = exchange.trail().join("tile/0/002.p/91");
    fs::write(&tile, &bytes).unwrap();
    exchange.commit(603);
    let alarm = exchange.publisher(Faults::none()).unwrap().step();
    let alarm = alarm.err().unwrap();
    assert!(
        matches!(&alarm, Fault::Objects(objects::Fault::Differs(name)) if name == "tile/0/002.p/91")
    );
    assert!(!alarm.is_passing());
}

#[test]
fn a_lost_folder_is_put_again_by_the_next_start() {
    let exchange = Exchange::new();
    exchange.run(&[300], &Faults::none()).unwrap();
    let root = check_trail(&exchange.trail(), 300);
    fs::remove_dir_all(exchange.trail()).unwrap();
    // Nothing is committed since: there is nothing to publish, and all the same everything is put.
    let mut publisher = exchange.publisher(Faults::none()).unwrap();
    assert_eq!(publisher.step().unwrap(), Step::Idle);
    assert_eq!(check_trail(&exchange.trail(), 300), root);
    assert!(exchange.trail().join(CHECKPOINT).exists());
}

#[test]
fn an_operators_policy_is_kept_while_it_names_this_log() {
    let exchange = Exchange::new();
    let publisher = exchange.publisher(Faults::none()).unwrap();
    let file = exchange.folder.path().join("policy.txt");
    publisher.write_policy(&file).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("log {}\nquorum none\n", publisher.key()));
    fs::write(&file, format!("# ours\n{text}")).unwrap();
    publisher.write_policy(&file).unwrap();
    fs::write(&file, "quorum none\n").unwrap();
    let refused = publisher.write_policy(&file);
    assert!(matches!(refused, Err(Fault::Policy(_))));
}
