//! Hooks as real processes: in order, never two at once, the newest list, again where they fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::actions::{Actions, Failed, Told};
use super::file::Form;
use super::told::{Choice, Chosen, Of};
use crate::peers::Peer;

/// How long something that must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn told(ordinals: &[u64]) -> Told {
    let peer = |ordinal: &u64| Peer {
        name: format!("web-{ordinal}.nginx"),
        host: format!("web-{ordinal}"),
        addresses: vec![[10, 0, 0, 1].into()],
        ports: vec![80],
        ready: true,
        ordinal: Some(*ordinal),
    };
    Told { peers: Chosen::These(ordinals.iter().map(peer).collect()), expected: Some(3), way: "push" }
}

struct Acting {
    folder: tempfile::TempDir,
    newest: Option<watch::Sender<Option<Arc<Told>>>>,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Acting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), newest: None, task: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// These lines of a shell, in which `$d` is the folder.
    fn actions(&self, on_start: Option<&str>, on_change: Option<&str>) -> Actions {
        let line = |line: &str| format!("d={}; {line}", self.folder.path().display()).parse().unwrap();
        Actions {
            of: Of {
                service: "nginx".to_owned(),
                namespace: "shop".to_owned(),
                own: Some("web-0".to_owned()),
            },
            choice: Choice::default(),
            write: None,
            signal: None,
            then: None,
            on_start: on_start.map(line),
            on_change: on_change.map(line),
        }
    }

    fn begin(&mut self, actions: Actions, at_once: bool) {
        let (newest, newest_rx) = watch::channel(None);
        self.newest = Some(newest);
        self.task = Some(tokio::spawn(Arc::new(actions).run(newest_rx, at_once)));
    }

    fn tell(&self, ordinals: &[u64]) {
        self.newest.as_ref().unwrap().send_replace(Some(Arc::new(told(ordinals))));
    }

    async fn until(&self, name: &str, text: &str) {
        until(&self.path(name), text).await;
    }

    /// No list comes any more: what is under way is finished.
    async fn end(&mut self) -> anyhow::Result<()> {
        self.newest = None;
        tokio::time::timeout(PATIENCE, self.task.take().unwrap()).await.unwrap().unwrap()
    }
}

async fn until(path: &Path, text: &str) {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    let wait = async {
        while read() != text {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{text:?} is wanted, there is {:?}", read());
}

#[tokio::test]
async fn first_on_start_then_on_change_with_the_list_and_what_differs() {
    let mut acting = Acting::new();
    let say = r#"echo "$ROLLCALL_EVENT +$ROLLCALL_ADDED -$ROLLCALL_REMOVED $(tr '\n' ' ')" >> $d/out"#;
    acting.begin(acting.actions(Some(&format!("echo first >> $d/out; {say}")), Some(say)), false);
    acting.tell(&[0, 1]);
    let start = "first\nstart +web-0.nginx web-1.nginx - web-0.nginx web-1.nginx \n";
    acting.until("out", start).await;
    acting.tell(&[1, 2]);
    acting.until("out", &format!("{start}change +web-2.nginx -web-0.nginx web-1.nginx web-2.nginx \n")).await;
    acting.end().await.unwrap();
}

#[tokio::test]
async fn without_on_start_the_first_list_is_a_change_too_and_the_same_list_is_none() {
    let mut acting = Acting::new();
    acting.begin(acting.actions(None, Some(r#"echo "$ROLLCALL_EVENT $ROLLCALL_COUNT" >> $d/out"#)), false);
    for list in [&[0][..], &[0], &[0, 1]] {
        acting.tell(list);
        let count = list.len();
        let text = if count == 1 { "start 1\n".to_owned() } else { format!("start 1\nchange {count}\n") };
        acting.until("out", &text).await;
    }
    acting.end().await.unwrap();
}

#[tokio::test]
async fn never_two_at_once_and_the_newest_wins() {
    let mut acting = Acting::new();
    // A second one beside it would find the folder there, and say so.
    let line = "mkdir $d/one || echo two >> $d/out; echo $ROLLCALL_COUNT -$ROLLCALL_ADDED >> $d/out; \
                until [ -e $d/go ]; do sleep 0.02; done; rmdir $d/one";
    acting.begin(acting.actions(None, Some(line)), false);
    acting.tell(&[0]);
    acting.until("out", "1 -web-0.nginx\n").await;
    for list in [&[0, 1][..], &[0, 1, 2], &[0, 3]] {
        acting.tell(list);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::write(acting.path("go"), "").unwrap();
    acting.until("out", "1 -web-0.nginx\n2 -web-3.nginx\n").await;
    acting.end().await.unwrap();
    until(&acting.path("out"), "1 -web-0.nginx\n2 -web-3.nginx\n").await;
}

#[tokio::test]
async fn what_fails_runs_again_with_what_is_newest_and_all_that_differs() {
    let mut acting = Acting::new();
    let line = "echo $ROLLCALL_EVENT $ROLLCALL_ADDED >> $d/out; [ -e $d/well ]";
    acting.begin(acting.actions(Some(line), Some(line)), false);
    acting.tell(&[0]);
    // Again by itself, as on-start still.
    acting.until("out", "start web-0.nginx\nstart web-0.nginx\n").await;
    // A newer list ends the wait. It may come while the one before is tried once more.
    std::fs::write(acting.path("well"), "").unwrap();
    acting.tell(&[0, 1]);
    let newest = "start web-0.nginx web-1.nginx\n";
    let read = || std::fs::read_to_string(acting.path("out")).unwrap_or_default();
    let wait = async {
        // Where the older one went well first, the newer one is a change.
        while !read().ends_with(newest) && !read().ends_with("change web-1.nginx\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{}", read());
    acting.end().await.unwrap();
}

#[tokio::test]
async fn the_file_comes_first_then_who_reads_it_and_only_where_it_is_new() {
    let mut acting = Acting::new();
    let mut actions = acting.actions(None, Some("echo hook $(cat $d/peers) >> $d/out"));
    let path = acting.path("peers");
    actions.write = Some((path.clone(), Form::Plain));
    let then = format!("echo then $(cat {}) >> {}", path.display(), acting.path("out").display());
    actions.then = Some(then.parse().unwrap());
    acting.begin(actions, false);
    acting.tell(&[0]);
    let first = "then web-0.nginx\nhook web-0.nginx\n";
    acting.until("out", first).await;
    // Another address makes the same file: the hook is told, who reads the file is not.
    let mut peers = told(&[0]).peers.to_vec();
    peers[0].addresses.clear();
    let other = Told { peers: Chosen::These(peers), ..told(&[0]) };
    acting.newest.as_ref().unwrap().send_replace(Some(Arc::new(other)));
    acting.until("out", &format!("{first}hook web-0.nginx\n")).await;
    acting.end().await.unwrap();
}

#[tokio::test]
async fn as_peer_finder_a_failure_is_the_end_and_so_is_a_start_without_a_change() {
    let mut acting = Acting::new();
    acting.begin(acting.actions(Some("exit 3"), Some("true")), true);
    acting.tell(&[0]);
    let task = acting.task.take().unwrap();
    let error = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Failed>().unwrap().error.code(), 3);
    acting.begin(acting.actions(Some("true"), None), true);
    acting.tell(&[0]);
    let task = acting.task.take().unwrap();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn once_is_once_and_gives_the_error() {
    let acting = Acting::new();
    let actions = Arc::new(acting.actions(Some("echo run >> $d/out; exit 4"), None));
    let error = actions.once(&Arc::new(told(&[0]))).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Failed>().unwrap().error.code(), 4);
    until(&acting.path("out"), "run\n").await;
}
