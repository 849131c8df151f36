//! MariaDB (S8): replicas that clone the one before them and follow the primary, which comes back elsewhere; and an
//! application that writes to the one and reads from all, by a file that rollcall's own image keeps.

use super::Example;
use crate::support::wait_until;

const PROGRAMS: [(&str, &str); 3] = [
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb-dump", "mariadb-client"),
];
const ALL: [&str; 3] = ["mysql-0", "mysql-1", "mysql-2"];

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn software_mariadb_replicates_and_splits_reads() {
    let claims = ALL.map(|pod| format!("data-{pod}"));
    let Some(mysql) = Example::start("mariadb", &["mariadb.yaml", "app.yaml"], &claims, &PROGRAMS) else {
        return;
    };
    mysql.wait_ready("mysql", 3);
    mysql.sql("mysql-0", "CREATE TABLE app.kept (word VARCHAR(40) PRIMARY KEY)");
    mysql.keeps("first");
    mysql.all_keep(&["first"]);
    for replica in ["mysql-1", "mysql-2"] {
        mysql.refuses(replica);
    }
    mysql.app_reads_what_it_wrote();

    mysql.recreate("mysql-1", || mysql.keeps("while-1-is-away"));
    mysql.all_keep(&["first", "while-1-is-away"]);

    mysql.recreate("mysql-0", || ());
    mysql.keeps("of-the-primary-elsewhere");
    mysql.all_keep(&["first", "while-1-is-away", "of-the-primary-elsewhere"]);
    for replica in ["mysql-1", "mysql-2"] {
        // The threads that fetch and that apply.
        let status =
            mysql.kubelet.exec(replica, "mysql", &["/scripts/sql.sh", "-e", "SHOW SLAVE STATUS"]).unwrap();
        assert!(status.contains("\tYes\tYes\t"), "{replica}: {status}");
    }
    mysql.app_reads_what_it_wrote();
}

impl Example {
    /// As root, on the pod itself.
    fn sql(&self, pod: &str, statement: &str) -> String {
        self.until(statement, pod, "mysql", &["/scripts/sql.sh", "-e", statement], |_| true)
    }

    /// Writes a word to the primary, by its name.
    fn keeps(&self, word: &str) {
        let script = format!(
            "mariadb --no-defaults -h mysql-0.mysql -u app --password=\"$APP_PASSWORD\" --connect-timeout=3 \
             -e \"INSERT IGNORE INTO app.kept VALUES ('{word}')\""
        );
        self.until(&format!("{word} is written"), "mysql-2", "mysql", &["sh", "-c", &script], |_| true);
    }

    /// Each of the three has exactly these.
    fn all_keep(&self, words: &[&str]) {
        let mut sorted = words.to_vec();
        sorted.sort_unstable();
        for pod in ALL {
            let read = ["/scripts/sql.sh", "-e", "SELECT word FROM app.kept ORDER BY word"];
            let wanted = |printed: &str| printed.lines().eq(sorted.iter().copied());
            self.until(&format!("{pod} has {words:?}"), pod, "mysql", &read, wanted);
        }
        println!("software: mariadb: all three have {words:?}");
    }

    /// Nobody writes to a replica.
    fn refuses(&self, replica: &str) {
        let script = format!(
            "mariadb --no-defaults -h {replica}.mysql -u app --password=\"$APP_PASSWORD\" \
             -e \"INSERT INTO app.kept VALUES ('by-a-replica')\""
        );
        let error = self.kubelet.exec(replica, "mysql", &["sh", "-c", &script]).unwrap_err();
        assert!(error.contains("--read-only"), "{error}");
    }

    /// From now on the application writes something, and reads it from each of the three.
    fn app_reads_what_it_wrote(&self) {
        let of_app = ["get", "pods", "-l", "app=app", "-o", "jsonpath={.items[0].metadata.name}"];
        let pod = self.namespace.kubectl(&of_app);
        let before = self.kubelet.printed(&pod, "app").lines().count();
        wait_until("the application reads from all what it wrote", super::STEP, || {
            let printed = self.kubelet.printed(&pod, "app");
            let new: Vec<&str> = printed.lines().skip(before).collect();
            let number = |line: &str| line.split(' ').nth(1).and_then(|word| word.parse::<u64>().ok());
            let wrote = new.iter().find(|line| line.starts_with("wrote ")).and_then(|line| number(line));
            let reads = |host: &&&str| {
                let newest =
                    new.iter().rev().find(|line| line.starts_with("read ") && line.ends_with(**host));
                newest.and_then(|line| number(line)) >= wrote
            };
            if wrote.is_some() && ALL.iter().filter(reads).count() == ALL.len() {
                Ok(())
            } else {
                Err(printed)
            }
        });
    }
}
