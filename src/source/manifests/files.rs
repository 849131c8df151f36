//! Which file holds what, and what of it was last good.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::item::Item;
use super::play::Player;
use super::read::{Parsed, Progress, parse};
use super::states::states;
use super::witness::Witness;
use crate::model::{Label, Object, PodState, Selector};
use crate::source::Problem;

/// Where the manifests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input, read once.
    Stdin,
    /// A file, or a folder's `.yaml`, `.yml` and `.json` files (not those of folders below it).
    Path(PathBuf),
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Stdin } else { Self::Path(text.into()) }
    }
}

/// How manifests become a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where played pods get their addresses, one of each family that is listed.
    pub pod_cidr: Vec<IpNet>,
    /// Where Services without a clusterIP get theirs.
    pub service_cidr: Vec<IpNet>,
    /// Only objects of these; None is all.
    pub namespaces: Option<Vec<String>>,
    /// Only Services with these labels.
    pub selector: Selector,
    /// The most octets of one file.
    pub max_file: u64,
    /// The most pods that are played.
    pub max_played: usize,
}

/// Why nothing could be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder cannot be read.
    #[error("cannot read the manifests in {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a load gave: a whole cluster, and everything that is wrong with its input.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Every object.
    pub objects: Vec<Object>,
    /// What pods of the input that are not ready say about that.
    pub pods: Vec<(Label, PodState)>,
    /// In the order of the files and documents; the last ones are about no one file.
    pub problems: Vec<Problem>,
}

/// Reads manifests, and reads again those that changed.
#[derive(Debug)]
pub struct Manifests {
    input: Input,
    options: Options,
    files: BTreeMap<PathBuf, File>,
    player: Player,
    witness: Option<Box<dyn Witness>>,
}

#[derive(Debug)]
struct File {
    /// Of the content that was read last, good or bad.
    hash: u64,
    /// What is served: the last version without an error, or the first one.
    good: Parsed,
    /// Of the version that was read last.
    problems: Vec<Problem>,
}

impl File {
    fn new(hash: u64, parsed: Parsed) -> Self {
        Self { hash, problems: parsed.problems.clone(), good: parsed }
    }
}

impl Manifests {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(input: Input, options: Options) -> Self {
        let player = Player::new(&options);
        Self { input, options, files: BTreeMap::new(), player, witness: None }
    }

    /// Shows what is read from now on to somebody who looks at more of it than its names.
    pub fn set_witness(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    /// Changes the filters and limits of the next load. The prefixes are those of the start: addresses were given
    /// from them.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// Reads what changed since the last load and makes the cluster of all of it.
    ///
    /// A file that was good and now is not keeps its last good content; of one that never was, the good objects
    /// of its versions are served.
    ///
    /// # Errors
    /// When the file or the folder itself cannot be read; what was loaded before is unchanged.
    pub fn load(&mut self, progress: &Progress) -> Result<Loaded, SourceError> {
        let texts = self.texts()?;
        let is_there = |path: &PathBuf| texts.iter().any(|(other, _)| other == path);
        self.files.retain(|path, _| is_there(path));
        for (path, text) in texts {
            self.take(path, text, progress);
        }
        Ok(self.cluster())
    }

    /// The content of each file; an error of one file of a folder is that file's.
    fn texts(&self) -> Result<Vec<(PathBuf, io::Result<String>)>, SourceError> {
        let max = self.options.max_file;
        let path = match &self.input {
            Input::Stdin if self.files.is_empty() => {
                return Ok(vec![("-".into(), read_text(io::stdin().lock(), max))]);
            }
            Input::Stdin => {
                return Ok(self.files.keys().map(|path| (path.clone(), Err(unchanged()))).collect());
            }
            Input::Path(path) => path,
        };
        let failed = |source| SourceError::Read { path: path.clone(), source };
        if !path.is_dir() {
            // A pipe (`--manifests <(kubectl get …)`) is read once, as standard input is.
            if !self.files.is_empty() && path.exists() && !path.is_file() {
                return Ok(vec![(path.clone(), Err(unchanged()))]);
            }
            let file = std::fs::File::open(path).map_err(failed)?;
            return Ok(vec![(path.clone(), read_text(file, max))]);
        }
        let mut files = Vec::new();
        for entry in path.read_dir().map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if is_manifest(&file) {
                files.push(file);
            }
        }
        files.sort();
        let read = |path: &Path| std::fs::File::open(path).and_then(|file| read_text(file, max));
        Ok(files.into_iter().map(|path| (path.clone(), read(&path))).collect())
    }

    fn take(&mut self, path: PathBuf, text: io::Result<String>, progress: &Progress) {
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                let problem = Problem { file: Some(path.clone()), ..Problem::error(error.to_string()) };
                let file = self.files.entry(path).or_insert_with(|| File::new(0, Parsed::default()));
                (file.hash, file.problems) = (0, vec![problem]);
                return;
            }
        };
        let hash = hash(&text);
        let known = self.files.get_mut(&path);
        if known.as_ref().is_some_and(|file| file.hash == hash) {
            return;
        }
        let parsed = parse(&text, &path, progress, self.witness.as_deref_mut());
        let Some(file) = known else {
            self.files.insert(path, File::new(hash, parsed));
            return;
        };
        let emptied = parsed.documents == 0 && !file.good.items.is_empty();
        if !parsed.has_errors() && !emptied {
            *file = File::new(hash, parsed);
            return;
        }
        let mut problems = parsed.problems.clone();
        let message = if emptied {
            let kept = file.good.items.len();
            format!("is empty now: its last {kept} objects are kept; delete the file to remove them")
        } else if file.good.has_errors() || file.good.documents == 0 {
            // It never was good as a whole: what is good of both versions is served.
            let mut merged = parsed;
            let names: HashSet<_> = merged.items.iter().map(|located| owned(located.item.name())).collect();
            let old = std::mem::take(&mut file.good.items);
            merged
                .items
                .extend(old.into_iter().filter(|located| !names.contains(&owned(located.item.name()))));
            file.good = merged;
            "has errors: its good objects are served, and those of its last version that are not in it"
                .to_owned()
        } else {
            format!("has errors now: its last good {} objects are kept", file.good.items.len())
        };
        problems.push(Problem { file: Some(path), ..Problem::error(message) });
        (file.hash, file.problems) = (hash, problems);
    }

    /// The cluster that all files make together.
    fn cluster(&mut self) -> Loaded {
        let mut problems: Vec<Problem> = Vec::new();
        let mut items: Vec<&Item> = Vec::new();
        let mut places: HashMap<(&str, &str, &str), (&Path, usize)> = HashMap::new();
        for (path, file) in &self.files {
            problems.extend(file.problems.iter().cloned());
            for located in &file.good.items {
                let name = located.item.name();
                match places.entry(name) {
                    Entry::Vacant(place) => {
                        place.insert((path, located.document));
                        items.push(&located.item);
                    }
                    Entry::Occupied(first) => {
                        let (first, document) = first.get();
                        let (kind, namespace, name) = name;
                        let message = format!(
                            "is there already, in {} (document {document}); this one is ignored",
                            first.display()
                        );
                        let problem = Problem::error(message).of(format!("{kind} {namespace}/{name}"));
                        let (document, item) = (Some(located.document), located.place);
                        problems.push(Problem { file: Some(path.clone()), document, item, ..problem });
                    }
                }
            }
        }
        let (objects, played) = self.player.play(&items, &self.options);
        problems.extend(played);
        Loaded { objects, pods: states(&items, &self.options), problems }
    }
}

impl Item {
    /// Kind, namespace and name.
    fn name(&self) -> (&str, &str, &str) {
        match self {
            Self::Namespace(n) => ("Namespace", "", n.name.as_str()),
            Self::Service(s) => ("Service", s.service.key.namespace.as_str(), s.service.key.name.as_str()),
            Self::Slice(s) => ("EndpointSlice", s.service.namespace.as_str(), &s.name),
            Self::Set(s) => ("StatefulSet", s.set.namespace.as_str(), &s.set.name),
            Self::Pod(p) => ("Pod", p.namespace.as_str(), &p.name),
            Self::Claim(namespace, claim) => ("PersistentVolumeClaim", namespace.as_str(), &claim.name),
            Self::Event(namespace, name, _) => ("Event", namespace.as_str(), name),
            Self::Unplayed { kind, namespace, name } => (kind, namespace.as_str(), name),
        }
    }
}

fn owned((kind, namespace, name): (&str, &str, &str)) -> [String; 3] {
    [kind.to_owned(), namespace.to_owned(), name.to_owned()]
}

/// Hidden files are none: editors and ConfigMap volumes keep theirs there. Nor are pipes: opening one waits.
pub(super) fn is_manifest(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let known = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    !hidden && known && path.is_file()
}

/// Stands for "as it was": standard input cannot be read twice.
fn unchanged() -> io::Error {
    io::Error::from(io::ErrorKind::WouldBlock)
}

fn read_text(input: impl Read, max: u64) -> io::Result<String> {
    let mut octets = Vec::new();
    input.take(max.saturating_add(1)).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > max {
        return Err(io::Error::other(format!("is larger than the limit of {} MiB", max >> 20)));
    }
    String::from_utf8(octets).map_err(|error| {
        io::Error::other(format!("is not UTF-8 at octet {}", error.utf8_error().valid_up_to()))
    })
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Severity;

    const GOOD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None}\n";
    const BAD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 0}]}\n";
    const SET: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web}\nspec: {serviceName: a, replicas: 2, template: {metadata: {labels: {app: web}}}}\n";

    fn mk_options() -> Options {
        Options {
            pod_cidr: vec!["10.244.0.0/16".parse().unwrap(), "fd00:10:244::/64".parse().unwrap()],
            service_cidr: vec!["10.96.0.0/16".parse().unwrap()],
            namespaces: None,
            selector: Selector::default(),
            max_file: 1 << 20,
            max_played: 100,
        }
    }

    struct Folder {
        folder: tempfile::TempDir,
        manifests: Manifests,
    }

    impl Folder {
        fn new(options: Options) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let manifests = Manifests::new(Input::Path(folder.path().into()), options);
            Self { folder, manifests }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn load(&mut self) -> Loaded {
            self.manifests.load(&Progress::default()).unwrap()
        }

        /// How many objects, and what is said.
        fn loaded(&mut self) -> (usize, Vec<String>) {
            let loaded = self.load();
            let text = |problem: &Problem| {
                let folder = format!("{}/", self.folder.path().display());
                problem.to_string().replace(&folder, "")
            };
            (loaded.objects.len(), loaded.problems.iter().map(text).collect())
        }
    }

    #[test]
    fn a_bad_edit_keeps_the_last_good_state_and_says_so() {
        let mut folder = Folder::new(mk_options());
        folder.write("a.yaml", GOOD);
        assert_eq!(folder.loaded(), (1, vec![]));
        folder.write("a.yaml", BAD);
        let (objects, said) = folder.loaded();
        assert_eq!((objects, said.len()), (1, 2));
        assert!(said[0].contains("spec.ports[0].port"), "{said:?}");
        assert_eq!(said[1], "a.yaml: has errors now: its last good 1 objects are kept");
        folder.write("a.yaml", GOOD);
        assert_eq!(folder.loaded(), (1, vec![]));
    }

    #[test]
    fn an_emptied_file_keeps_its_objects_and_a_deleted_one_does_not() {
        let mut folder = Folder::new(mk_options());
        folder.write("a.yaml", GOOD);
        folder.loaded();
        folder.write("a.yaml", "");
        let (objects, said) = folder.loaded();
        assert_eq!((objects, said.len()), (1, 1));
        std::fs::remove_file(folder.folder.path().join("a.yaml")).unwrap();
        assert_eq!(folder.loaded(), (0, vec![]));
    }

    #[test]
    fn the_first_version_is_taken_with_its_good_documents() {
        let mut folder = Folder::new(mk_options());
        folder.write("a.yaml", &format!("{GOOD}---\n{}", BAD.replace("name: a", "name: b")));
        let (objects, said) = folder.loaded();
        assert_eq!((objects, said.len()), (1, 1));
    }

    #[test]
    fn a_file_that_never_was_good_takes_what_is_good_and_loses_nothing() {
        let mut folder = Folder::new(mk_options());
        let named = |name: &str, text: &str| text.replace("name: a", &format!("name: {name}"));
        folder.write("a.yaml", &[named("x", GOOD), named("b", BAD)].join("---\n"));
        assert_eq!(folder.loaded().0, 1);
        folder.write("a.yaml", &[named("x", BAD), named("b", BAD), named("c", GOOD)].join("---\n"));
        assert_eq!(folder.loaded().0, 2, "x of the first version, c of the second");
        folder.write("a.yaml", &named("c", GOOD));
        assert_eq!(folder.loaded(), (1, vec![]));
        std::fs::write(folder.folder.path().join("d.yaml"), [0xff, 0xfe]).unwrap();
        assert_eq!(folder.loaded().0, 1);
        folder.write("d.yaml", &[named("d", GOOD), named("e", BAD)].join("---\n"));
        assert_eq!(folder.loaded().0, 2);
    }

    #[test]
    fn hidden_and_foreign_files_are_passed_over() {
        let mut folder = Folder::new(mk_options());
        folder.write(".a.yaml", GOOD);
        folder.write("a.yaml.swp", GOOD);
        folder.write("README.md", "x");
        assert_eq!(folder.loaded(), (0, vec![]));
    }

    #[test]
    fn the_same_object_twice_is_an_error_of_the_second() {
        let mut folder = Folder::new(mk_options());
        folder.write("a.yaml", GOOD);
        folder.write("b.yaml", GOOD);
        let (objects, said) = folder.loaded();
        assert_eq!(objects, 1);
        assert!(
            said[0].starts_with("b.yaml: document 1: Service default/a: is there already, in "),
            "{said:?}"
        );
    }

    #[test]
    fn played_pods_keep_their_addresses() {
        let mut folder = Folder::new(mk_options());
        let addresses = |loaded: Loaded| -> Vec<(String, Vec<String>)> {
            let pods = loaded.objects.into_iter().filter_map(|object| match object {
                Object::Pod(pod) => {
                    Some((pod.name.to_string(), pod.addresses.iter().map(ToString::to_string).collect()))
                }
                _ => None,
            });
            pods.collect()
        };
        folder.write("b.yaml", SET);
        let before = addresses(folder.load());
        assert_eq!(before[1], ("web-1".into(), vec!["10.244.0.3".into(), "fd00:10:244::3".into()]));
        // A set that comes first in the order of files takes no address of another's.
        folder.write("a.yaml", &SET.replace("name: web", "name: api"));
        let after = addresses(folder.load());
        assert!(before.iter().all(|pod| after.contains(pod)), "{after:?}");
        assert_eq!(after.len(), 4);
    }

    #[test]
    fn limits_are_said() {
        let mut folder = Folder::new(Options { max_played: 3, max_file: 4096, ..mk_options() });
        folder.write("a.yaml", &SET.replace("replicas: 2", "replicas: 2000000000"));
        let (objects, said) = folder.loaded();
        assert_eq!(objects, 1 + 3);
        assert!(said[0].contains("only 3 are played"), "{said:?}");
        folder.write("b.yaml", &format!("# {}\n{GOOD}", "x".repeat(5000)));
        let loaded = folder.load();
        assert!(loaded.problems.iter().any(|p| p.severity == Severity::Error && p.message.contains("limit")));
    }

    #[test]
    fn what_is_not_there_is_an_error_with_its_path() {
        let mut manifests = Manifests::new(Input::Path("/nonexistent/x".into()), mk_options());
        let error = manifests.load(&Progress::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the manifests in /nonexistent/x");
    }
}
