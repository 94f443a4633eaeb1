//! The file format.

/// EKS fields.
#[derive(Debug, Clone, PartialEq)]
pub struct EksCluster {}
/// GKE fields.
#[derive(Debug, Clone, PartialEq)]
pub struct GkeCluster {}
/// kind fields.
#[derive(Debug, Clone, PartialEq)]
pub struct KindCluster {}
/// kwok fields.
#[derive(Debug, Clone, PartialEq)]
pub struct KwokCluster {}
/// existing fields.
#[derive(Debug, Clone, PartialEq)]
pub struct ExistingCluster {
    /// The kubeconfig file, absolute.
    pub kubeconfig: std::path::PathBuf,
    /// The context in it.
    pub context: String,
}
/// ECR fields.
#[derive(Debug, Clone, PartialEq)]
pub struct EcrRegistry {}
/// Artifact Registry fields.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRegistry {}
/// Local registry fields.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalRegistry {}
