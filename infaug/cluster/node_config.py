"""Fields of one node's `node_config`, which Ray hands to the cloud unseen.

A typo there is found minutes later, by the cloud, or never. The lists are the request
fields of the two calls, read from their documentation in 2026.
"""

# EC2 RunInstances without MinCount and MaxCount, which Ray sets, and with SubnetIds,
# which Ray takes in place of SubnetId.
_AWS = """
AdditionalInfo BlockDeviceMappings CapacityReservationSpecification ClientToken
CpuOptions CreditSpecification DisableApiStop DisableApiTermination DryRun EbsOptimized
ElasticGpuSpecification ElasticInferenceAccelerators EnablePrimaryIpv6 EnclaveOptions
HibernationOptions IamInstanceProfile ImageId InstanceInitiatedShutdownBehavior
InstanceMarketOptions InstanceType Ipv6AddressCount Ipv6Addresses KernelId KeyName
LaunchTemplate LicenseSpecifications MaintenanceOptions MetadataOptions Monitoring
NetworkInterfaces NetworkPerformanceOptions Operator Placement PrivateDnsNameOptions
PrivateIpAddress RamdiskId SecurityGroupIds SecurityGroups SubnetId SubnetIds
TagSpecifications UserData
"""

# Compute Engine instances.insert, fields that may be set, and sourceInstanceTemplate,
# which Ray takes out of the body.
_GCP = """
advancedMachineFeatures canIpForward confidentialInstanceConfig deletionProtection
description disks displayDevice guestAccelerators hostname instanceEncryptionKey
keyRevocationActionType labels localSsdEncryptionMode machineType metadata
minCpuPlatform networkInterfaces networkPerformanceConfig params privateIpv6GoogleAccess
reservationAffinity resourcePolicies scheduling serviceAccounts shieldedInstanceConfig
shieldedInstanceIntegrityPolicy sourceInstanceTemplate sourceMachineImage tags
"""

KNOWN = {"aws": _AWS.split(), "gcp": _GCP.split()}
MACHINE = {
    "aws": ("InstanceType", "LaunchTemplate"),
    "gcp": ("machineType", "sourceInstanceTemplate"),
}
