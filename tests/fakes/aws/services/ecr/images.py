"""Images as they are listed and deleted, and the token that a client of the registry logs in with."""
import base64
import datetime
import json
import secrets

from . import operations
from .state import Ecr, named, page, refused, repository_of

TOKEN_LIFE = datetime.timedelta(hours=12)


@operations("GetAuthorizationToken")
def get_authorization_token(call):
    state, password = call.world.state(Ecr), secrets.token_urlsafe(300)
    expires = call.world.now() + TOKEN_LIFE
    state.passwords[password] = expires
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    registries = call.get("registryIds") or [call.world.account]
    return {"authorizationData": [{"authorizationToken": token, "expiresAt": expires,
                                   "proxyEndpoint": f"https://{registry}.dkr.ecr.{call.world.region}.amazonaws.com"} for registry in registries]}


def _image(repository, ident):
    digest, tag = ident.get("imageDigest"), ident.get("imageTag")
    for image in repository["images"].values():
        if (digest is None or image["digest"] == digest) and (tag is None or tag in image["tags"]):
            return image
    return None


@operations("DescribeImages")
def describe_images(call):
    repository, found = repository_of(call), []
    if call.get("imageIds"):
        for ident in call.parameters["imageIds"]:
            image = _image(repository, ident)
            if image is None:
                raise refused("ImageNotFoundException", f"The image with imageId {json.dumps(ident)} does not exist within the repository with name "
                              f"'{repository['shown']['repositoryName']}' in the registry with id '{call.world.account}'")
            found.append(image)
    else:
        status = (call.get("filter") or {}).get("tagStatus", "ANY")
        found = [image for image in repository["images"].values() if status == "ANY" or (status == "TAGGED") == bool(image["tags"])]
    details = []
    for image in found:
        detail = named(repository, imageDigest=image["digest"], imageSizeInBytes=image["size"], imagePushedAt=image["pushed"],
                        imageManifestMediaType="application/vnd.oci.image.manifest.v1+json", artifactMediaType="application/vnd.oci.image.config.v1+json")
        details.append({**detail, "imageTags": list(image["tags"])} if image["tags"] else detail)
    return page(call, details, "imageDetails")


@operations("ListImages")
def list_images(call):
    repository, status = repository_of(call), (call.get("filter") or {}).get("tagStatus", "ANY")
    found = []
    for image in repository["images"].values():
        found += [{"imageDigest": image["digest"], "imageTag": tag} for tag in image["tags"]] if status != "UNTAGGED" else []
        if not image["tags"] and status != "TAGGED":
            found.append({"imageDigest": image["digest"]})
    return page(call, found, "imageIds")


@operations("BatchDeleteImage")
def batch_delete_image(call):
    repository, gone, failures = repository_of(call), [], []
    for ident in call.parameters["imageIds"]:
        image = _image(repository, ident)
        if image is None:
            failures.append({"imageId": ident, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
        elif ident.get("imageTag") and not ident.get("imageDigest"):
            image["tags"].remove(ident["imageTag"])
            gone.append({"imageDigest": image["digest"], "imageTag": ident["imageTag"]})
            if not image["tags"]:
                del repository["images"][image["digest"]]
        else:
            gone += [{"imageDigest": image["digest"], "imageTag": tag} for tag in image["tags"]] or [{"imageDigest": image["digest"]}]
            del repository["images"][image["digest"]]
    return {"imageIds": gone, "failures": failures}
