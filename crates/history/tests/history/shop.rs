//! A shop of three sessions, as CSV files in a folder of its own; each test damages it in one way.

use haggle_history::{History, HistoryError, ImportReport, import_complete_journey};
use std::error::Error;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

pub struct Shop(pub TempDir);

pub const SESSIONS: &str = "session_id,household_id,store_id,ts,week,n_lines,total_value
s1,u1,1,2017-01-02T10:00:00,1,2,5.00
s2,u2,2,2017-01-10T10:00:00,2,1,1.50
s3,u1,1,2017-01-24T22:00:00,4,1,2.00
";
pub const LINES: &str = "session_id,sku,quantity,unit_price,base_price,coupon
s1,10,2,1.00,1.00,0.0
s1,20,1,3.00,3.00,0.0
s2,10,1,1.50,1.50,0.0
s3,20,1,2.00,2.00,0.0
";
pub const CATALOG: &str = "sku,department,brand,product_category,product_type,package_size
10,GROCERY,National,MILK,WHOLE MILK,1 L
20,GROCERY,National,BREAD,RYE,1 KG
";
pub const PROMOTIONS: &str = "sku,store_id,display_location,mailer_location,week
10,1,0,A,2
10,2,3,A,2
10,2,5,A,2
";

impl Shop {
    pub fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        shop.put("sessions.csv", SESSIONS);
        shop.put("lines.csv", LINES);
        shop.put("catalog.csv", CATALOG);
        shop.put("promotions.csv", PROMOTIONS);
        shop
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn put(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(file), content).unwrap();
    }

    /// Adds lines at the end of a file.
    pub fn and(self, file: &str, more: &str) -> Self {
        let text = fs::read_to_string(self.path().join(file)).unwrap();
        self.put(file, text + more);
        self
    }

    pub fn import(&self) -> (History, ImportReport) {
        import_complete_journey(self.path()).unwrap()
    }

    /// The whole message of the error, with the folder written as `SHOP`.
    pub fn refusal(&self) -> String {
        self.told(&import_complete_journey(self.path()).expect_err("an error"))
    }

    pub fn told(&self, error: &HistoryError) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        text.replace(self.path().to_str().unwrap(), "SHOP")
    }
}
