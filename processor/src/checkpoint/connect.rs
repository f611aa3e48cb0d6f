//! From a URL to an object store.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use super::Repository;

/// What is wrong with a URL, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("checkpoints cannot be kept in `{url}`: {what}")]
pub struct Unusable {
    url: String,
    what: String,
}

/// The checkpoints of `application` below a URL: `file:///DIRECTORY` or `s3://BUCKET/PREFIX`.
///
/// A directory is made if it is missing. S3 is set up by the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_REGION`,
/// `AWS_ENDPOINT_URL`, ...); nothing is asked of it yet.
///
/// # Errors
/// Why there can be none.
pub fn connect(url: &str, application: &str) -> Result<Repository, Unusable> {
    let unusable = |what: String| Unusable { url: url.to_owned(), what };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (objects, prefix) = match scheme {
        "file" if rest.starts_with('/') => (directory(FilePath::new(rest)).map_err(unusable)?, ""),
        "s3" => s3(url, rest).map_err(unusable)?,
        _ => return Err(unusable("write file:///DIRECTORY or s3://BUCKET/PREFIX".to_owned())),
    };
    let prefix = Path::parse(prefix).map_err(|error| unusable(error.to_string()))?;
    Ok(Repository::new(objects, prefix, application))
}

fn directory(path: &FilePath) -> Result<Arc<dyn ObjectStore>, String> {
    std::fs::create_dir_all(path).map_err(|error| format!("the directory cannot be made: {error}"))?;
    let objects = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
    Ok(Arc::new(objects.with_fsync(true)))
}

#[cfg(feature = "s3")]
fn s3<'a>(url: &str, rest: &'a str) -> Result<(Arc<dyn ObjectStore>, &'a str), String> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
    use object_store::{ClientConfigKey, RetryConfig};

    // An error if another part of the process has chosen one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Bodies have a time limit for each piece; one for the whole would end the reading of a large file.
    let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
    // A store that is slow to answer is not helped by being asked again from a further connection, and another, every few
    // seconds. Who asks has a time limit of its own.
    let connecting = AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout);
    let retries = RetryConfig { max_retries: 3, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::from_env()
        .with_url(url)
        .with_config(timeout, "6h")
        .with_config(connecting, "60s")
        .with_retry(retries);
    // A server of one's own may do without TLS; Amazon's never does.
    let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let endpoint = endpoints.iter().find_map(|name| std::env::var(name).ok());
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_allow_http(true);
    }
    let objects = builder.build().map_err(|error| error.to_string())?;
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
    Ok((Arc::new(objects), prefix.trim_end_matches('/')))
}

#[cfg(not(feature = "s3"))]
fn s3<'a>(_: &str, _: &'a str) -> Result<(Arc<dyn ObjectStore>, &'a str), String> {
    Err("this build has no S3; build it with its default features".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_none_of_ours_are_refused_with_what_to_write() {
        for url in ["", "checkpoints", "/var/checkpoints", "file://var/checkpoints", "http://host/x", "gs://bucket"] {
            let message = connect(url, "care").unwrap_err().to_string();
            assert!(message.contains("write file:///DIRECTORY or s3://BUCKET/PREFIX"), "{message}");
        }
        let message = connect("file:///proc/checkpoints", "care").unwrap_err().to_string();
        assert!(message.contains("`file:///proc/checkpoints`: the directory cannot be made"), "{message}");
    }

    #[test]
    fn a_directory_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("file://{}/a/b", directory.path().display());
        connect(&url, "care").unwrap();
        assert!(directory.path().join("a/b").is_dir());
    }
}
