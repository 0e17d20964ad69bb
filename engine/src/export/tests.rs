//! The file that is written.

use std::io::Write as _;

use super::file::ExportFile;

#[test]
fn a_file_takes_its_name_once_it_is_whole_and_never_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let mut file = ExportFile::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    drop(file);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let mut file = ExportFile::create(&path).unwrap();
    file.write_all(b"whole").unwrap();
    let other = ExportFile::create(&path).unwrap();
    file.finish().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    let error = other.finish().unwrap_err();
    assert!(error.message().ends_with("is there already"), "{error:?}");
    assert!(ExportFile::create(&path).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
